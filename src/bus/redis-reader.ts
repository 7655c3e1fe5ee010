import { setTimeout as delay } from 'node:timers/promises';
import type { Kind } from './handlers.js';
import { messageOf, type QuietLog } from './quiet-log.js';
import { openLink } from './redis-link.js';
import { createNumbers } from './redis-numbers.js';
import type { Place } from './redis-place.js';
import {
  BEGINNING,
  isBefore,
  isElsewhere,
  type Position,
  parseEntry,
  parsePosition,
  type RawEntry,
  streamKey,
} from './redis-streams.js';

const BLOCK_MS = 1_000; // how long Redis holds a read that finds nothing, and at most until a new partition is read
const MARGIN_MS = 1_500; // what an answer may be late; then the connection is taken for dead
const SILENT_MS = BLOCK_MS + 500; // without an answer for so long it isn't healthy
const READ_COUNT = 32; // entries of a partition a read: with 64 partitions 2,048 in a turn at most
const VERIFY_EVERY_MS = 5_000; // how soon a stream that began anew with a smaller clock is noticed
const RETRY_MS = 250; // after a refusal (loading, no permission)
const SUBSCRIBE_MS = 2_000; // a start doesn't wait longer for a Redis that is away

export interface RedisReader {
  /** Reads these partitions too; resolves when their place is known, after SUBSCRIBE_MS, or once closed. */
  follow(partitions: readonly number[]): Promise<void>;
  healthy(): boolean;
  readonly totals: {
    readonly received: number;
    readonly skippedOwn: number;
    readonly skippedStale: number;
    readonly missed: number;
    readonly lagMs: number;
  };
  readonly link: { readonly connects: number; readonly watchdogTrips: number };
  close(): Promise<void>;
}

export interface ReaderOptions {
  readonly locate: () => Promise<Place>;
  readonly nodeId: string;
  readonly log: QuietLog;
  /** Takes an entry; says whether anybody wanted it. */
  readonly deliver: (kind: Kind, partition: number, bytes: Buffer) => boolean;
}

/**
 * Reads the streams over a connection of its own, which is blocked most of the time. One loop does everything, so
 * a place that is looked up never races one that is read:
 *
 *     connected ──► verify places ──► read ──► deliver ──┐
 *         ▲  ▲          ▲               ▲                │
 *         │  └─refused──┤     every 5 s └────────────────┤
 *         └─────────────┴──────── broken, silent ────────┘
 *
 * One XREAD over all partitions needs a single Redis: in a cluster each group of partitions has a loop of its own.
 */
export function createReader({ locate, nodeId, log, deliver }: ReaderOptions): RedisReader {
  const own = Buffer.from(nodeId);
  const link = openLink({ locate, name: 'parley-reader', log });
  const ending = new AbortController();
  const numbers = createNumbers();
  const totals = { received: 0, skippedOwn: 0, skippedStale: 0, lagMs: 0, missed: 0 };
  /** By partition, the last entry seen; null until it was looked up. */
  const places = new Map<number, Position | null>();
  const partitionOfKey = new Map<string, number>();
  let waiters: { readonly partitions: readonly number[]; readonly resolve: () => void }[] = [];
  let wake: (() => void) | null = null;
  let refused = false;
  let verified = { connection: 0, at: 0 };

  async function run(): Promise<void> {
    for (;;) {
      const connection = await link.connected();
      if (connection === null) return;
      try {
        await readOnce(connection);
        refused = false;
      } catch (error) {
        if (ending.signal.aborted) return;
        refused = true;
        const cause = messageOf(error);
        log.warn('bus_read_failed', { cause });
        if (isElsewhere(cause)) link.drop(cause);
        await delay(RETRY_MS, undefined, { signal: ending.signal }).catch(() => undefined);
      }
    }
  }

  async function readOnce(connection: number): Promise<void> {
    if (places.size === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (ending.signal.aborted) return;
    }
    const isNew = [...places.values()].includes(null) || verified.connection !== connection;
    if (isNew || performance.now() - verified.at > VERIFY_EVERY_MS) {
      await verifyPlaces();
      verified = { connection, at: performance.now() };
    }
    const streams = await link.ask(BLOCK_MS + MARGIN_MS, (client) => {
      const known = [...places].filter(([, place]) => place !== null);
      const keys = known.map(([partition]) => streamKey(partition));
      const ids = known.map(([, place]) => (place ?? BEGINNING).join('-'));
      return client.xreadBuffer('COUNT', READ_COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...ids);
    });
    takeAll(streams ?? []);
  }

  /**
   * Looks every stream's end up: a new partition is read from there. An end before the place that was reached means
   * that the stream was lost (flushed, restored, restarted empty): it is read from its beginning, and the
   * publishers' numbers tell what has been seen.
   */
  async function verifyPlaces(): Promise<void> {
    const partitions = [...places.keys()];
    const ends = await link.ask(MARGIN_MS, async (client) => {
      const pipeline = client.pipeline();
      for (const partition of partitions)
        pipeline.xrevrangeBuffer(streamKey(partition), '+', '-', 'COUNT', 1);
      return (await pipeline.exec()) ?? [];
    });
    for (const [i, partition] of partitions.entries()) {
      const [error, entries] = ends[i] ?? [new Error('no result'), null];
      if (error !== null) throw error;
      const last = (entries as readonly RawEntry[])[0];
      const end = last === undefined ? BEGINNING : parsePosition(last[0]);
      const place = places.get(partition) ?? null;
      if (place === null) places.set(partition, end);
      else if (isBefore(end, place)) places.set(partition, BEGINNING);
    }
    release();
  }

  function takeAll(streams: readonly (readonly [Buffer, readonly RawEntry[]])[]): void {
    for (const [key, entries] of streams) {
      const partition = partitionOfKey.get(key.toString('latin1'));
      const last = entries.at(-1);
      if (partition === undefined || last === undefined) continue;
      const place = parsePosition(last[0]);
      places.set(partition, place); // before anything is delivered: each entry at most once
      totals.lagMs = Math.max(0, Date.now() - place[0]);
      for (const [, fields] of entries) {
        if (ending.signal.aborted) return;
        take(partition, fields);
      }
    }
  }

  function take(partition: number, fields: readonly Buffer[]): void {
    const entry = parseEntry(fields);
    if (entry === null) return log.warn('bus_entry_foreign', { partition });
    if (entry.node.equals(own)) {
      totals.skippedOwn++;
      return;
    }
    const missed = numbers.take(partition, entry.meta.publisher, entry.meta.number);
    if (missed === null) {
      totals.skippedStale++;
      return;
    }
    totals.missed += missed;
    try {
      if (deliver(entry.meta.kind, partition, entry.bytes)) totals.received++;
    } catch (error) {
      log.warn('bus_handler_failed', { cause: messageOf(error) });
    }
  }

  function release(): void {
    const known = (partition: number) => places.get(partition) != null;
    const [done, rest] = [
      waiters.filter(({ partitions }) => partitions.every(known)),
      waiters.filter(({ partitions }) => !partitions.every(known)),
    ];
    waiters = rest;
    for (const { resolve } of done) resolve();
  }

  const running = run();
  return {
    totals,
    link: link.totals,
    async follow(partitions) {
      for (const partition of partitions) {
        if (places.has(partition)) continue;
        places.set(partition, null);
        partitionOfKey.set(streamKey(partition), partition);
      }
      wake?.();
      if (ending.signal.aborted || partitions.every((partition) => places.get(partition) != null)) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, SUBSCRIBE_MS);
        const done = () => {
          clearTimeout(timer);
          resolve();
        };
        waiters.push({ partitions, resolve: done });
      });
    },
    healthy: () =>
      places.size === 0 ||
      (!refused &&
        link.ready() &&
        link.silentMs() < SILENT_MS &&
        verified.connection === link.totals.connects),
    async close() {
      ending.abort();
      wake?.();
      for (const { resolve } of waiters) resolve();
      await link.close();
      await running;
    },
  };
}
