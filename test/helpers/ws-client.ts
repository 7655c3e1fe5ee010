import { Packr, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { checkServerFrame, noteAnswer } from './conformance.js';
import { DEADLINE_MS, within } from './deadline.js';
import type { Encoding, ErrorPayload, Frame, Ref } from './frames.js';

/** A request of the client was answered with `error`. */
export class Refused extends Error {
  constructor(readonly problem: ErrorPayload) {
    super(`refused: ${JSON.stringify(problem)}`);
  }
}

/** The connection was refused before the upgrade (`status`), or closed before `welcome` (`closeCode`). */
export class ConnectRefused extends Error {
  constructor(
    readonly status: number | null,
    readonly closeCode: number | null,
    readonly body: string,
  ) {
    super(`no connection: status ${status}, close code ${closeCode} ${body}`);
  }
}

/** The connection ended while an answer or an event was waited for. */
export class Disconnected extends Error {}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectOptions {
  readonly wsUrl: string;
  /** null: no credentials at all, and no wait for `welcome`. */
  readonly token: string | null;
  readonly encoding?: Encoding;
  readonly via?: 'header' | 'subprotocol' | 'frame';
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with every frame as it arrives, before whoever waits for it hears of it. */
  readonly onFrame?: (frame: Frame) => void;
}

export interface WsClient {
  readonly socket: WebSocket;
  readonly encoding: Encoding;
  /** Sends a request and gives its answer, which may be an `error`. */
  readonly request: <P = Frame['payload']>(
    type: string,
    payload?: unknown,
    roomId?: string,
  ) => Promise<Frame<P>>;
  /** As `request`, but an `error` is thrown as {@link Refused}. */
  readonly ask: <P>(type: string, payload?: unknown, roomId?: string) => Promise<P>;
  /** As `request`, for answers of several frames: gathers until `isLast`. */
  readonly requestAll: (
    type: string,
    payload: unknown,
    isLast: (frame: Frame) => boolean,
  ) => Promise<Frame[]>;
  /** Sends a frame as it stands. */
  readonly sendFrame: (frame: unknown) => void;
  readonly sendRaw: (data: string | Uint8Array, binary?: boolean) => void;
  /** The oldest unread frame (answers to requests apart) that `matches`; it counts as read from then on. */
  readonly next: (matches: (frame: Frame) => boolean, what: string, deadlineMs?: number) => Promise<Frame>;
  /** All frames with a rev, by room, in the order of their arrival. */
  readonly streams: ReadonlyMap<string, readonly Frame[]>;
  /** Settles when the connection has ended. */
  readonly closed: Promise<Closed>;
  /** Closes the connection from this side. */
  readonly close: () => Promise<void>;
}

const packr = new Packr({ useRecords: false, variableMapSize: true });
// The option's value 'number' is missing in the types of some versions; without it 64-bit integers are BigInts.
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  ...{ int64AsType: 'number' as never },
});

interface Pending {
  readonly resolve: (frames: Frame[]) => void;
  readonly reject: (error: Error) => void;
  readonly isLast: (frame: Frame) => boolean;
  readonly frames: Frame[];
}

interface Waiter {
  readonly matches: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Connects and waits for `welcome` (not where `token` is null).
 *
 * @throws ConnectRefused
 */
export async function connect(options: ConnectOptions): Promise<WsClient> {
  const encoding = options.encoding ?? 'json';
  const via = options.via ?? 'header';
  const { token } = options;
  const protocols = [`parley.${encoding}`];
  if (token !== null && via === 'subprotocol') protocols.push(`bearer.${token}`);
  const socket = new WebSocket(options.wsUrl, protocols, {
    perMessageDeflate: false,
    headers: {
      ...(token !== null && via === 'header' ? { authorization: `Bearer ${token}` } : {}),
      ...options.headers,
    },
  });
  const client = wrap(socket, encoding, options.onFrame);
  await within(opened(socket), DEADLINE_MS, 'the WebSocket upgrade');
  if (token === null) return client;
  if (via === 'frame') client.sendFrame({ type: 'authenticate', payload: { token } });
  const refused = client.closed.then(({ code, reason }) => {
    throw new ConnectRefused(null, code, reason);
  });
  refused.catch(() => undefined);
  await Promise.race([client.next((frame) => frame.type === 'welcome', 'welcome'), refused]);
  return client;
}

/** The connection's refusal; fails where it was accepted. */
export async function connectRefused(options: ConnectOptions): Promise<ConnectRefused> {
  try {
    await connect(options);
  } catch (error) {
    if (error instanceof ConnectRefused) return error;
    throw error;
  }
  throw new Error('the connection was accepted');
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        reject(new ConnectRefused(response.statusCode ?? null, null, Buffer.concat(chunks).toString())),
      );
    });
  });
}

function wrap(socket: WebSocket, encoding: Encoding, onFrame?: (frame: Frame) => void): WsClient {
  const streams = new Map<string, Frame[]>();
  const pending = new Map<Ref, Pending>();
  const unread: Frame[] = [];
  const waiters = new Set<Waiter>();
  let lastRef = 0;
  let ended: Closed | null = null;

  const closed = new Promise<Closed>((resolve) => {
    let failure = '';
    socket.on('error', (error) => {
      failure = ` (${error.message})`; // 'close' follows
    });
    socket.once('close', (code, reason) => {
      ended = { code, reason: reason.toString() + failure };
      const error = new Disconnected(`closed with ${code} ${ended.reason}`);
      for (const waiting of [...pending.values(), ...waiters]) waiting.reject(error);
      pending.clear();
      waiters.clear();
      resolve(ended);
    });
  });

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const frame = decode(data, isBinary, encoding);
    checkServerFrame(frame);
    record(frame, streams);
    onFrame?.(frame);
    if (!answersPending(frame, pending)) offer(frame, waiters, unread);
  });

  const sendRaw = (data: string | Uint8Array, binary = typeof data !== 'string'): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data, { binary });
  };
  const sendFrame = (frame: unknown): void =>
    sendRaw(encoding === 'json' ? JSON.stringify(frame) : new Uint8Array(packr.pack(frame)));
  const requestAll: WsClient['requestAll'] = (type, payload, isLast) =>
    start(type, payload, undefined, isLast);

  function start(
    type: string,
    payload: unknown,
    room_id: string | undefined,
    isLast: (frame: Frame) => boolean,
  ): Promise<Frame[]> {
    const ref = ++lastRef;
    const answer = new Promise<Frame[]>((resolve, reject) => {
      if (ended) return reject(new Disconnected(`closed with ${ended.code} ${ended.reason}`));
      pending.set(ref, { resolve, reject, isLast, frames: [] });
      sendFrame({
        type,
        ref,
        ...(room_id ? { room_id } : {}),
        ...(payload === undefined ? {} : { payload }),
      });
    });
    return within(
      answer.then((frames) => {
        for (const frame of frames) noteAnswer(type, frame);
        return frames;
      }),
      2 * DEADLINE_MS,
      `the answer to ${type}`,
    );
  }

  async function request<P = Frame['payload']>(
    type: string,
    payload?: unknown,
    roomId?: string,
  ): Promise<Frame<P>> {
    const [frame] = await start(type, payload, roomId, () => true);
    return frame as unknown as Frame<P>;
  }

  return {
    socket,
    encoding,
    request,
    ask: async <P>(type: string, payload?: unknown, roomId?: string) => {
      const frame = await request<P>(type, payload, roomId);
      if (frame.type === 'error') throw new Refused(frame.payload as unknown as ErrorPayload);
      return frame.payload;
    },
    requestAll,
    sendFrame,
    sendRaw,
    next: (matches, what, deadlineMs = DEADLINE_MS) => {
      const found = unread.findIndex(matches);
      if (found >= 0) return Promise.resolve(unread.splice(found, 1)[0] as Frame);
      if (ended) return Promise.reject(new Disconnected(`closed with ${ended.code} before ${what}`));
      let waiter: Waiter | undefined;
      const event = new Promise<Frame>((resolve, reject) => {
        waiter = { matches, resolve, reject };
        waiters.add(waiter);
      });
      return within(event, deadlineMs, what).finally(() => waiter && waiters.delete(waiter));
    },
    streams,
    closed,
    close: async () => {
      socket.close();
      const forced = setTimeout(() => socket.terminate(), 2_000);
      await closed;
      clearTimeout(forced);
    },
  };
}

function decode(data: Buffer, isBinary: boolean, encoding: Encoding): Frame {
  if (isBinary !== (encoding === 'msgpack'))
    throw new Error(`a ${isBinary ? 'binary' : 'text'} frame on ${encoding}`);
  return (isBinary ? unpackr.unpack(data) : JSON.parse(data.toString('utf8'))) as Frame;
}

function record(frame: Frame, streams: Map<string, Frame[]>): void {
  if (frame.rev === undefined || frame.room_id === undefined) return;
  const stream = streams.get(frame.room_id);
  if (stream === undefined) streams.set(frame.room_id, [frame]);
  else stream.push(frame);
}

function answersPending(frame: Frame, pending: Map<Ref, Pending>): boolean {
  const request = frame.ref === undefined ? undefined : pending.get(frame.ref);
  if (request === undefined) return false;
  request.frames.push(frame);
  if (frame.type === 'error' || request.isLast(frame)) {
    pending.delete(frame.ref as Ref);
    request.resolve(request.frames);
  }
  return true;
}

function offer(frame: Frame, waiters: Set<Waiter>, unread: Frame[]): void {
  for (const waiter of waiters) {
    if (!waiter.matches(frame)) continue;
    waiters.delete(waiter);
    waiter.resolve(frame);
    return;
  }
  unread.push(frame);
}
