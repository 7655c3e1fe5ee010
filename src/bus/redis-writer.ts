import { randomBytes } from 'node:crypto';
import type { ChainableCommander } from 'ioredis';
import { PARTITIONS } from '../protocol/ids.js';
import type { Kind } from './handlers.js';
import { messageOf, type QuietLog } from './quiet-log.js';
import { openLink } from './redis-link.js';
import type { Place } from './redis-place.js';
import {
  encodeMeta,
  isElsewhere,
  parsePosition,
  STREAM_EXPIRY_MS,
  STREAM_MAX_AGE_MS,
  STREAM_MAX_LENGTH,
  streamKey,
  TIDY_EVERY_MS,
} from './redis-streams.js';

/** Entries that wait for Redis or its answer; more are dropped. Some hundred milliseconds of full load. */
export const MAX_HELD = 10_000;
/** Their bytes. */
export const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** Of one entry: a reader takes many at once. */
export const MAX_ENTRY_BYTES = 1024 * 1024;

/** What has waited longer is dropped when Redis is back: by then the other nodes have polled the log. */
const MAX_WAIT_MS = 2_000;
const ANSWER_MS = 2_000; // a turn's commands take milliseconds; a server that forks or swaps, some hundred
const SILENT_MS = 750; // without an answer for so long it isn't healthy; a hiccup is shorter
const HEARTBEAT_MS = 500; // so that silence is noticed where there is nothing to write

interface Held {
  readonly partition: number;
  readonly meta: string;
  readonly bytes: Buffer;
  readonly at: number;
}

export interface RedisWriter {
  send(kind: Kind, partition: number, bytes: Uint8Array): void;
  healthy(): boolean;
  readonly totals: { readonly published: number; readonly dropped: number };
  readonly link: { readonly connects: number; readonly watchdogTrips: number };
  close(): Promise<void>;
}

/** Appends to the streams: a turn's entries are one round trip, whatever their partitions. */
export function createWriter(locate: () => Promise<Place>, nodeId: string, log: QuietLog): RedisWriter {
  const publisher = randomBytes(8).toString('hex');
  const numbers = new Array<number>(PARTITIONS).fill(0);
  const tidiedAt = new Array<number>(PARTITIONS).fill(Number.NEGATIVE_INFINITY);
  const totals = { published: 0, dropped: 0 };
  /** Waiting ones and those on their way. */
  let held = 0;
  let heldBytes = 0;
  let waiting: Held[] = [];
  let scheduled: NodeJS.Immediate | null = null;
  /** Redis answers and takes nothing: it is loading, full, or a replica. */
  let refused = false;
  let closed = false;

  const link = openLink({
    locate,
    name: 'parley-writer',
    log,
    onReady: () => {
      refused = false;
      flush();
    },
    onLost: () => dropStale(),
  });
  const heartbeat = setInterval(() => {
    if (held === 0 && link.ready()) link.ask(ANSWER_MS, (client) => client.ping()).catch(() => undefined);
  }, HEARTBEAT_MS);

  function send(kind: Kind, partition: number, bytes: Uint8Array): void {
    if (closed) return;
    const number = (numbers[partition] ?? 0) + 1;
    numbers[partition] = number; // also of what is dropped: the gap tells the readers
    const full = held >= MAX_HELD || heldBytes + bytes.length > MAX_HELD_BYTES;
    if (full || bytes.length > MAX_ENTRY_BYTES) {
      totals.dropped++;
      log.warn('bus_entry_dropped', { reason: full ? 'full' : 'too_big', bytes: bytes.length });
      return;
    }
    held++;
    heldBytes += bytes.length;
    const meta = encodeMeta(kind, publisher, number);
    waiting.push({ partition, meta, bytes: Buffer.from(bytes), at: performance.now() });
    scheduled ??= setImmediate(flush);
  }

  function flush(): void {
    if (scheduled !== null) clearImmediate(scheduled);
    scheduled = null;
    if (closed || !link.ready()) return; // they go when it is
    dropStale();
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    link
      .ask(ANSWER_MS, async (client) => {
        const pipeline = client.pipeline();
        for (const entry of batch) append(pipeline, entry);
        const results = await pipeline.exec();
        return results ?? [];
      })
      .then(
        (results) => settle(batch, results),
        (error) => release(batch, 0, messageOf(error)),
      );
  }

  function append(pipeline: ChainableCommander, { partition, meta, bytes }: Held): void {
    const key = streamKey(partition);
    pipeline.xadd(key, 'MAXLEN', '~', STREAM_MAX_LENGTH, '*', 'n', nodeId, 'm', meta, 'b', bytes);
  }

  function settle(batch: readonly Held[], results: readonly [Error | null, unknown][]): void {
    let sent = 0;
    let cause: string | null = null;
    let isRefusal = false;
    const lastIds = new Map<number, string>();
    for (const [i, entry] of batch.entries()) {
      const [error, id] = results[i] ?? [new Error('no result'), null];
      if (error === null) {
        sent++;
        lastIds.set(entry.partition, String(id));
      } else {
        cause = messageOf(error);
        isRefusal = error.name === 'ReplyError'; // as against a broken connection, which says so itself
      }
    }
    refused = sent === 0 && isRefusal;
    release(batch, sent, cause);
    // The address leads to the right one by now, or will.
    if (cause !== null && isElsewhere(cause)) link.drop(cause);
    tidy(lastIds);
  }

  function release(batch: readonly Held[], sent: number, cause: string | null): void {
    held -= batch.length;
    for (const { bytes } of batch) heldBytes -= bytes.length;
    totals.published += sent;
    totals.dropped += batch.length - sent;
    if (cause !== null && !closed) log.warn('bus_write_failed', { cause, entries: batch.length - sent });
  }

  function dropStale(): void {
    const since = performance.now() - MAX_WAIT_MS;
    const stale = waiting.filter(({ at }) => at < since);
    if (stale.length === 0) return;
    waiting = waiting.filter(({ at }) => at >= since);
    release(stale, 0, 'waited too long');
  }

  /** Trims by age, measured from the newest entry so that no clock but Redis' matters, and puts the expiry off. */
  function tidy(lastIds: ReadonlyMap<number, string>): void {
    const now = performance.now();
    const due = [...lastIds].filter(([partition]) => now - (tidiedAt[partition] ?? 0) >= TIDY_EVERY_MS);
    if (due.length === 0 || !link.ready()) return;
    const work = link.ask(ANSWER_MS, async (client) => {
      const pipeline = client.pipeline();
      for (const [partition, id] of due) {
        tidiedAt[partition] = now;
        const [ms] = parsePosition(Buffer.from(id));
        pipeline.xtrim(streamKey(partition), 'MINID', '~', Math.max(0, ms - STREAM_MAX_AGE_MS));
        pipeline.pexpire(streamKey(partition), STREAM_EXPIRY_MS);
      }
      await pipeline.exec();
    });
    work.catch(() => undefined); // the next time will do
  }

  return {
    send,
    totals,
    link: link.totals,
    healthy: () => !closed && !refused && link.ready() && link.silentMs() < SILENT_MS,
    async close() {
      closed = true;
      clearInterval(heartbeat);
      if (scheduled !== null) clearImmediate(scheduled);
      waiting = [];
      await link.close();
    },
  };
}
