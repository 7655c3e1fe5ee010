import type { Codec, Frame } from './codec.js';
import { AuthError, localError, type ParleyError } from './errors.js';
import type { TokenProvider } from './http.js';
import { createRequests } from './requests.js';
import { expiryOf, openSocket, type Socket, type WebSocketClass } from './socket.js';
import { abortable, type BackoffOptions, backoffMs, within } from './waiting.js';

/**
 *     stopped ──start──► opening ──welcome──► ready
 *        ▲                 ▲  │ lost            │ lost: closed, or silent for too long
 *        │       time, online  ▼                │
 *        ├──stop──────────── waiting ◄──────────┘
 *        └──signed out: the token's session has ended, or no token is accepted any more
 */
export type ConnectionState = 'stopped' | 'opening' | 'ready' | 'waiting';

/** What the server says first. */
export interface Welcome {
  readonly user_id: string;
  readonly session_id: string;
  readonly server_time: string;
  readonly heartbeat_s: number;
  readonly limits: Readonly<Record<string, number>>;
}

export interface ConnectionOptions {
  /** `wss://…/api/v1/ws` */
  readonly wsUrl: string;
  readonly token: TokenProvider;
  readonly codec: Codec;
  readonly WebSocket: WebSocketClass;
  readonly backoff?: BackoffOptions | undefined;
  /** After this long without a frame the server is asked for one. */
  readonly heartbeatMs?: number | undefined;
  /** How long it may take to answer, or to say welcome. */
  readonly timeoutMs?: number | undefined;
}

export interface ConnectionHandlers {
  readonly ready: (welcome: Welcome) => void;
  /** Every frame that is no answer. */
  readonly frame: (frame: Frame) => void;
  readonly lost: (why: { code: number; retryInMs: number }) => void;
  readonly signedOut: (why: ParleyError) => void;
  /** The token provider failed, or no socket could be made: tried again, but somebody may want to know. */
  readonly failed: (error: unknown) => void;
}

export interface Connection {
  readonly state: () => ConnectionState;
  readonly start: () => void;
  readonly stop: () => void;
  /** Resolves when ready. @throws ParleyError `signed_out`, `closed`; the signal's reason */
  readonly whenReady: (signal?: AbortSignal) => Promise<void>;
  /** @throws ConnectionError when not ready, or lost before the answer; ParleyError of an `error` answer */
  readonly request: (frame: Frame, take?: (answer: Frame) => boolean) => Promise<void>;
  /** Sends what needs no answer, if ready. */
  readonly tell: (frame: Frame) => void;
}

const HEARTBEAT_MS = 15_000;
const TIMEOUT_MS = 10_000;
const STABLE_MS = 5_000; // a connection that lasted this long ends a row of failures
const RENEW_EARLY_MS = 30_000;
const TIMER_MAX_MS = 2_000_000_000; // what setTimeout takes
const WAITERS_MAX = 1_000; // more that wait for a connection is a loop in the application
const TOKENS_REFUSED_MAX = 3; // fresh ones in a row: the provider doesn't know better
const BAD_TOKEN = 4004;
const SESSION_ENDED = 4010;
const SILENT = 1006;

export function createConnection(options: ConnectionOptions, handlers: ConnectionHandlers): Connection {
  const { codec, heartbeatMs = HEARTBEAT_MS, timeoutMs = TIMEOUT_MS } = options;
  const requests = createRequests(timeoutMs);
  let state: ConnectionState = 'stopped';
  let socket: Socket | null = null;
  let life = 0; // numbers the attempts: what belongs to an earlier one is ignored
  let attempt = 0;
  let readySince = 0;
  let comeBackMs: number | null = null; // as `bye` asked
  let refused: string | undefined;
  let refusals = 0;
  let token = '';
  let heard = false;
  let probing = false;
  let listening = false; // to the browser's network
  const timers: Partial<Record<'reconnect' | 'beat' | 'limit' | 'renew', ReturnType<typeof setTimeout>>> = {};
  let waiters: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  let ended = localError('closed', 'Not started.');

  const after = (name: keyof typeof timers, ms: number, run: () => void): void => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(run, Math.min(ms, TIMER_MAX_MS));
  };
  const clear = (): void => {
    for (const timer of Object.values(timers)) clearTimeout(timer);
  };

  async function open(): Promise<void> {
    const mine = ++life;
    state = 'opening';
    clear();
    try {
      token = await within(options.token(refused), timeoutMs);
      if (mine !== life) return;
      if (token === refused) return signedOut(localError('signed_out', 'The token was refused.'));
      after('limit', timeoutMs, () => lost(SILENT));
      socket = openSocket(options.WebSocket, options.wsUrl, codec, token, { frame: receive, closed: lost });
    } catch (error) {
      if (mine !== life) return;
      if (error instanceof AuthError) return signedOut(error);
      handlers.failed(error);
      lost(SILENT);
    }
  }

  function receive(frame: Frame): void {
    heard = true;
    if (state === 'ready') {
      probing = false;
      clearTimeout(timers.limit);
    }
    if (frame.type === 'welcome') welcomed(frame.payload as Welcome);
    else if (frame.type === 'bye') {
      comeBackMs = (frame.payload as { reconnect_after_ms: number }).reconnect_after_ms;
    } else if (!requests.answer(frame)) handlers.frame(frame);
  }

  function welcomed(welcome: Welcome): void {
    if (state !== 'opening') return; // said twice: all is resumed already
    state = 'ready';
    readySince = Date.now();
    refused = undefined;
    refusals = 0;
    probing = false;
    clear();
    after('beat', heartbeatMs, beat);
    renewInTime();
    handlers.ready(welcome);
    for (const waiter of waiters.splice(0)) waiter.resolve();
  }

  function beat(): void {
    if (!heard) probe();
    heard = false;
    after('beat', heartbeatMs, beat);
  }

  /** Asks for a sign of life, and takes silence for the connection's end. */
  function probe(): void {
    if (state !== 'ready' || probing) return;
    probing = true;
    socket?.send({ type: 'ping' });
    after('limit', timeoutMs, () => lost(SILENT));
  }

  function renewInTime(): void {
    const expiry = expiryOf(token);
    if (expiry === null) return;
    const left = expiry - Date.now();
    after('renew', Math.max(left / 2, left - RENEW_EARLY_MS), () => void renew(life));
  }

  async function renew(mine: number): Promise<void> {
    try {
      const next = await options.token(token);
      if (mine !== life || next === token) return;
      await request({ type: 'authenticate', payload: { token: next } });
      token = next;
      renewInTime();
    } catch {
      // the server will close with 4004, and the next connection starts with a fresh one
    }
  }

  function lost(code: number): void {
    drop();
    if (code === SESSION_ENDED) return signedOut(localError('signed_out', 'The session has ended.'));
    if (code === BAD_TOKEN) {
      refused = token;
      if (++refusals >= TOKENS_REFUSED_MAX) {
        return signedOut(localError('signed_out', 'No token is accepted.'));
      }
    }
    if (readySince > 0 && Date.now() - readySince >= STABLE_MS) attempt = 0;
    readySince = 0;
    const expired = code === BAD_TOKEN && refusals === 1; // nothing is wrong but the hour
    const retryInMs = comeBackMs ?? (expired ? 0 : backoffMs(attempt++, options.backoff));
    comeBackMs = null;
    state = 'waiting';
    after('reconnect', retryInMs, () => void open());
    requests.lost();
    handlers.lost({ code, retryInMs });
  }

  function drop(): void {
    life++;
    clear();
    socket?.drop();
    socket = null;
  }

  function signedOut(why: ParleyError): void {
    halt(why);
    handlers.signedOut(why);
  }

  function halt(why: ParleyError): void {
    drop();
    state = 'stopped';
    refused = undefined;
    refusals = 0;
    ended = why;
    removeListeners();
    requests.lost();
    for (const waiter of waiters.splice(0)) waiter.reject(why);
  }

  function online(): void {
    if (state === 'waiting') void open();
    else probe();
  }
  function addListeners(): void {
    listening = typeof (globalThis as { addEventListener?: unknown }).addEventListener === 'function';
    if (!listening) return; // Node
    addEventListener('online', online);
    addEventListener('offline', probe);
  }
  function removeListeners(): void {
    if (!listening) return;
    listening = false;
    removeEventListener('online', online);
    removeEventListener('offline', probe);
  }

  async function request(frame: Frame, take: (answer: Frame) => boolean = () => true): Promise<void> {
    if (state !== 'ready') throw localError('disconnected', 'Not connected.');
    const { ref, answered } = requests.add(take);
    socket?.send({ ...frame, ref });
    return answered;
  }

  return {
    state: () => state,
    start: () => {
      if (state !== 'stopped') return;
      attempt = 0;
      addListeners();
      void open();
    },
    stop: () => halt(localError('closed', 'The client was closed.')),
    whenReady: async (signal) => {
      if (state === 'ready') return;
      if (state === 'stopped') throw ended;
      if (waiters.length >= WAITERS_MAX) throw localError('queue_full', 'Too much waits for a connection.');
      const ready = new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject };
        waiters.push(waiter);
        signal?.addEventListener('abort', () => {
          waiters = waiters.filter((each) => each !== waiter);
        });
      });
      return abortable(ready, signal);
    },
    request,
    tell: (frame) => {
      if (state === 'ready') socket?.send(frame);
    },
  };
}
