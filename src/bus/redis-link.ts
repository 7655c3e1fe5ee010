import { Redis } from 'ioredis';
import { messageOf, type QuietLog } from './quiet-log.js';
import type { Place } from './redis-place.js';

/**
 * One connection to Redis that is made anew whenever it breaks or falls silent:
 *
 *     connecting ──ready──► ready ──broken, silent, dropped──► waiting ──backoff──► connecting
 *         └──────────not located, failed, CONNECT_MS over──────────▲
 *     closed: from everywhere, for good
 *
 * Each connection is an ioredis client of its own, which never reconnects, queues or repeats: a command repeated
 * after a broken connection might run twice.
 */
export interface RedisLink {
  /** Whether commands can be sent at this moment. */
  readonly ready: () => boolean;
  /** Resolves with the number of the connection once there is one, with null once closed. */
  readonly connected: () => Promise<number | null>;
  /**
   * Sends commands. Rejects where there is no connection, it breaks, or Redis refuses; and when nothing has come
   * for `ms`, which also ends the connection.
   */
  readonly ask: <T>(ms: number, work: (client: Redis) => Promise<T>) => Promise<T>;
  /** For how long the oldest `ask` of this connection has waited at least since the last answer; 0 without one. */
  readonly silentMs: () => number;
  /** Ends the connection, so that another is made. */
  readonly drop: (cause: string) => void;
  /** Resolves within DISCONNECT_MS, whatever Redis does. */
  readonly close: () => Promise<void>;
  readonly totals: { readonly connects: number; readonly watchdogTrips: number };
}

export interface LinkOptions {
  /** Where to connect to: asked for anew each time. */
  readonly locate: () => Promise<Place>;
  /** As it stands in CLIENT LIST and the log. */
  readonly name: string;
  readonly log: QuietLog;
  /** A connection has been made. */
  readonly onReady?: () => void;
  /** There is none, or not any more. Called for failed attempts too. */
  readonly onLost?: () => void;
}

const CONNECT_MS = 3_000; // TCP, TLS and log-in together: a frozen server takes connections and then says nothing
const RETRY_MIN_MS = 50; // a restarted server is back within moments
const RETRY_MAX_MS = 1_000; // longer would be felt once Redis is there again
const DISCONNECT_MS = 100; // how long ioredis waits for the other side's farewell before it destroys the socket

interface Connection {
  readonly client: Redis;
  readonly ended: Promise<void>;
  /** null until it is ready. */
  number: number | null;
  /** Asked and not answered. */
  waiting: number;
  waitingSince: number;
}

export function openLink(options: LinkOptions): RedisLink {
  const totals = { connects: 0, watchdogTrips: 0 };
  const ending = new Set<Promise<void>>();
  let current: Connection | null = null;
  let retryMs = RETRY_MIN_MS;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let waiters: ((number: number | null) => void)[] = [];

  function connect(): void {
    options.locate().then(
      (place) => !closed && connectTo(place),
      (error: unknown) => !closed && retry(messageOf(error)),
    );
  }

  function connectTo(place: Place): void {
    const client = new Redis({ ...place, ...CLIENT_OPTIONS, connectionName: options.name });
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    const connection: Connection = { client, ended, number: null, waiting: 0, waitingSince: 0 };
    current = connection;
    let cause = 'closed by the other side';
    client.on('error', (error) => {
      cause = messageOf(error);
    });
    client.once('ready', () => ready(connection));
    void ended.then(() => lose(connection, cause));
    timer = setTimeout(() => lose(connection, `not connected within ${CONNECT_MS} ms`), CONNECT_MS);
  }

  function ready(connection: Connection): void {
    if (connection !== current) return;
    clearTimeout(timer);
    retryMs = RETRY_MIN_MS;
    connection.number = ++totals.connects;
    if (connection.number > 1) options.log.info('redis_back', {});
    release(connection.number);
    options.onReady?.();
  }

  function lose(connection: Connection, cause: string): void {
    if (connection !== current) return;
    clearTimeout(timer);
    current = null;
    end(connection);
    retry(cause);
  }

  function retry(cause: string): void {
    options.log.warn('redis_away', { cause });
    options.onLost?.();
    timer = setTimeout(connect, retryMs * (0.5 + Math.random() / 2)); // not all nodes in step
    retryMs = Math.min(RETRY_MAX_MS, 2 * retryMs);
  }

  function end({ client, ended }: Connection): void {
    ending.add(ended);
    void ended.then(() => ending.delete(ended));
    client.disconnect();
  }

  function release(number: number | null): void {
    const all = waiters;
    waiters = [];
    for (const resolve of all) resolve(number);
  }

  function ask<T>(ms: number, work: (client: Redis) => Promise<T>): Promise<T> {
    const connection = current;
    if (connection === null || !isReady(connection)) return Promise.reject(new Error('not connected'));
    if (connection.waiting++ === 0) connection.waitingSince = performance.now();
    return new Promise<T>((resolve, reject) => {
      const late = () => {
        if (connection === current) totals.watchdogTrips++;
        lose(connection, `no answer within ${ms} ms`);
        reject(new Error(`no answer within ${ms} ms`));
      };
      // After a blocked event loop timers come before what has arrived meanwhile: let that come first.
      let immediate: NodeJS.Immediate | undefined;
      const watchdog = setTimeout(() => {
        immediate = setImmediate(late);
      }, ms);
      const answered = () => {
        clearTimeout(watchdog);
        clearImmediate(immediate);
        connection.waiting--;
        connection.waitingSince = performance.now();
      };
      work(connection.client).finally(answered).then(resolve, reject);
    });
  }

  connect();
  return {
    totals,
    ask,
    ready: () => current !== null && isReady(current),
    connected() {
      if (closed) return Promise.resolve(null);
      if (current !== null && isReady(current)) return Promise.resolve(current.number);
      return new Promise((resolve) => waiters.push(resolve));
    },
    silentMs: () =>
      current === null || current.waiting === 0 ? 0 : performance.now() - current.waitingSince,
    drop(cause) {
      if (current !== null) lose(current, cause);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      const last = current;
      current = null;
      if (last !== null) end(last);
      release(null);
      await Promise.all(ending);
    },
  };
}

function isReady({ client, number }: Connection): boolean {
  return number !== null && client.status === 'ready'; // ioredis notices a closed socket a moment before it says `end`
}

const CLIENT_OPTIONS = {
  retryStrategy: () => null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  enableReadyCheck: false, // its timer would outlive the client; a loading server refuses commands, which is enough
  disableClientInfo: true, // unknown to servers before 7.2
  protocol: 2,
  connectTimeout: CONNECT_MS,
  disconnectTimeout: DISCONNECT_MS,
} as const;
