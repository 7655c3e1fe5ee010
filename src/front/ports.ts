import type { Caller, ToShard } from '../ipc/messages.js';
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
  /** False while starting or draining. */
  ready(): boolean;
}
