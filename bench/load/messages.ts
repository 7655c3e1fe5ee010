/** Every message between the bench's main process and its loader processes. */
import type { CheckCounts, RoomHead } from './checker.js';
import type { FaultSummary } from './faults.js';
import type { Encoding } from './frame-read.js';
import type { DialectName } from './options.js';
import type { Share } from './schedule.js';
import type { TimelineData } from './timeline.js';
import type { WsTarget } from './ws-client.js';

/** A room as it was when the set-up ended. */
export interface LoaderRoom extends RoomHead {
  readonly id: string;
}

export interface LoaderSocket {
  readonly index: number;
  readonly token: string;
  /** Indexes into LoaderPlan.rooms. */
  readonly rooms: readonly number[];
  readonly encoding: Encoding;
  readonly localAddress: string | undefined;
  /** Index into LoaderPlan.targets. */
  readonly target: number;
  readonly slow: boolean;
}

/** All that one loader process must know. */
export interface LoaderPlan {
  readonly loader: number;
  readonly targets: readonly WsTarget[];
  readonly dialect: DialectName;
  readonly rooms: readonly LoaderRoom[];
  readonly sockets: readonly LoaderSocket[];
  /** Indexes (SocketPlan.index) of this loader's senders, in order. */
  readonly senders: readonly number[];
  readonly share: Share;
  readonly warmupSeconds: number;
  readonly measuredSeconds: number;
  readonly drainSeconds: number;
  readonly connectRate: number;
  /** Sockets that this loader cuts a second, at random; 0: none. */
  readonly cutsPerSecond: number;
  /** All sockets are cut at once in the middle of the measured time. */
  readonly storm: boolean;
  readonly payloadBytes: number;
  readonly salt: number;
  readonly seed: number;
}

/** What one loader counted and measured. */
export interface LoaderReport {
  readonly loader: number;
  readonly sent: number;
  readonly acked: number;
  /** Refused by an `error` frame that named the message. */
  readonly refused: number;
  readonly sentInWindow: number;
  readonly ackedInWindow: number;
  readonly deliveredInWindow: number;
  readonly checks: CheckCounts;
  /** What the loader's sockets had to get by the rooms' heads, and what of it never came. */
  readonly expected: number;
  readonly lost: number;
  readonly resyncs: number;
  readonly reconnects: number;
  readonly failedReconnects: number;
  readonly refusedResumes: number;
  readonly errorCodes: Readonly<Record<string, number>>;
  readonly otherFrames: Readonly<Record<string, number>>;
  /** Deliveries and acks that the scanner read, and those it left to the full parse. */
  readonly scanned: number;
  readonly parsed: number;
  readonly faults: readonly FaultSummary[];
  /** Encoded HDR histograms, microseconds. */
  readonly ackLatency: string;
  readonly deliveryLatency: string;
  readonly sendLag: string;
  /** Of messages that came by `resume` or `sync`, or to a slow reader. */
  readonly lateLatency: string;
  /** From beginning to come back until whole again. */
  readonly resumeTime: string;
  readonly timeline: TimelineData;
  /** CPU of this process in the measured window, in cores. */
  readonly cpuCores: number;
  readonly maxLoopDelayMs: number;
  readonly rssBytes: number;
}

/** Counts since the start of a loader. */
export interface Progress {
  readonly joined: number;
  readonly sent: number;
  readonly acked: number;
  readonly deliveries: number;
}

export type ToLoader =
  | { readonly type: 'plan'; readonly plan: LoaderPlan }
  | { readonly type: 'start'; readonly startMicros: number }
  | { readonly type: 'finish'; readonly heads: readonly RoomHead[] };

export type FromLoader =
  | { readonly type: 'ready' }
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'sent' }
  | { readonly type: 'report'; readonly report: LoaderReport }
  | { readonly type: 'failed'; readonly reason: string };
