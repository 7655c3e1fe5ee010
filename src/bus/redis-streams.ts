import type { Kind } from './handlers.js';

/**
 * The streams in Redis: one per partition, one entry per `publish` or `signal`, with three fields:
 *
 *     n  node id, by which a node skips its own
 *     m  kind, publisher and number in the partition, as "e:<publisher>:<number>"; "s" for a signal
 *     b  the bytes
 *
 * A publisher is one bus; its numbers rise by one per partition. They are what order and "at most once" stand on
 * when a stream is read again, or when a command that was given up is run after all.
 */

/** In front of everything that this server keeps in Redis. */
export const KEY_PREFIX = 'parley:';

/** Partitions that one command may read are of one group; a cluster keeps the groups on different nodes. */
export const GROUPS = 16;

export function groupOf(partition: number): number {
  return partition % GROUPS;
}

/** The braces are Redis Cluster's: a group's streams share a slot. */
export function streamKey(partition: number): string {
  return `${groupKey(groupOf(partition))}:p${partition}:log`;
}

/** What the keys of a group begin with, and a key in its slot. */
export function groupKey(group: number): string {
  return `${KEY_PREFIX}{g${group}}`;
}

/** Of a stream, entries; bounds Redis' memory in a burst. A reader that is away a second misses nothing at 2,000/s. */
export const STREAM_MAX_LENGTH = 2_048;

/** Older entries are of no use: by then every node has polled the log. */
export const STREAM_MAX_AGE_MS = 15_000;

/** A stream nobody writes to is removed; long enough that clocks and tidying don't matter. */
export const STREAM_EXPIRY_MS = 60_000;

/** How often a publisher trims a stream by age and puts its expiry off; well below the expiry. */
export const TIDY_EVERY_MS = 5_000;

const KIND_LETTERS = { event: 'e', signal: 's' } as const;

export interface Meta {
  readonly kind: Kind;
  readonly publisher: string;
  readonly number: number;
}

export function encodeMeta(kind: Kind, publisher: string, number: number): string {
  return `${KIND_LETTERS[kind]}:${publisher}:${number}`;
}

/** Whether an error says that another server has the keys now: a replica was promoted, or a slot moved. */
export function isElsewhere(cause: string): boolean {
  return /^(READONLY|MOVED|CLUSTERDOWN)/.test(cause);
}

/** Where an entry stands in its stream: milliseconds of Redis' clock, then a count. */
export type Position = readonly [ms: number, count: number];

export const BEGINNING: Position = [0, 0];

export function parsePosition(id: Buffer): Position {
  const [ms, count] = id.toString('latin1').split('-');
  return [Number(ms), Number(count)];
}

export function isBefore(one: Position, other: Position): boolean {
  return one[0] < other[0] || (one[0] === other[0] && one[1] < other[1]);
}

/** An entry as XREAD and XREVRANGE give it. */
export type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

export interface StreamEntry {
  readonly node: Buffer;
  readonly meta: Meta;
  readonly bytes: Buffer;
}

/** null where it isn't one of ours, or of a later version. */
export function parseEntry(fields: readonly Buffer[]): StreamEntry | null {
  const [, node, , meta, , bytes] = fields;
  if (node === undefined || meta === undefined || bytes === undefined) return null;
  const [letter, publisher = '', number] = meta.toString('latin1').split(':');
  if ((letter !== 'e' && letter !== 's') || !Number.isSafeInteger(Number(number))) return null;
  return {
    node,
    meta: { kind: letter === 'e' ? 'event' : 'signal', publisher, number: Number(number) },
    bytes,
  };
}
