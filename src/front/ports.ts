import type { Caller, SharedTake, ToShard } from '../ipc/messages.js';
import type { FRONT_STAGES } from '../observability/stage-times.js';
import type { ErrorCode } from '../protocol/errors.js';

/** What the parts of the front ask of each other. */

/** A REST request as it goes to a shard. */
export type ShardCall = Omit<Extract<ToShard, { t: 'http' }>, 't' | 'id'>;

/** A shard's whole answer: status and the encoded JSON body (success or failure alike). */
export interface ShardAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly retryAfterMs: number | null;
}

export interface ShardGateway {
  readonly shards: number;
  /**
   * Sends a request to a shard, following one `reroute`. Never rejects: a code stands for `overloaded` (no
   * credit) or `unavailable` (the shard is away or was lost with the request).
   */
  http(shard: number, call: ShardCall): Promise<ShardAnswer | ErrorCode>;
  /**
   * Counts takes over all nodes: 0 where they are allowed, otherwise the milliseconds after which they will be. 0 as well
   * where nobody can say: the front's own count stands. Never rejects.
   */
  take(shard: number, takes: readonly SharedTake[]): Promise<number>;
}

export type TokenCheck =
  | { readonly ok: true; readonly caller: Caller; readonly expiresAtMs: number }
  | { readonly ok: false; readonly code: ErrorCode };

export interface SessionRegistry {
  /** Verifies an access token and that its session hasn't ended. */
  check(token: string): TokenCheck;
}

/** Health of what the server depends on, kept up to date from the shards' reports: asks nobody when read. */
export interface HealthView {
  database(): boolean;
  /** Whether Redis joins this process to the other nodes; null where there is no Redis. */
  redis(): boolean | null;
  storage(): boolean;
  /** False while starting or draining. */
  ready(): boolean;
}

export const LIMITS = [
  'rest',
  'auth',
  'uploads',
  'sends',
  'connections',
  'reads',
  'credit',
  'answers',
] as const;
export type Limit = (typeof LIMITS)[number];

/** What the front counts as it happens; everything else is read when scraped. */
export interface FrontMetrics {
  /** A REST request was answered; `code` is an error's, or `ok`. */
  http(route: string, code: string, seconds: number): void;
  /** A send was acknowledged: from its frame's receipt to its answer's sending. */
  acknowledged(seconds: number): void;
  /** A message went to its room's topics: since its shard took it into a batch, on whichever node. */
  delivered(seconds: number): void;
  /** What a shard sent in one batch took so long to come here, or to be given to the sockets. */
  stage(stage: (typeof FRONT_STAGES)[number], seconds: number): void;
  /** A frame that got no answer from a shard was answered with an error. */
  lost(code: ErrorCode): void;
  /** A request was refused by a limit. */
  limited(limit: Limit): void;
}
