/** Codes that the server answers with. */
export type ServerCode =
  | 'bad_request'
  | 'unauthenticated'
  | 'invalid_credentials'
  | 'token_expired'
  | 'token_reused'
  | 'forbidden'
  | 'not_a_member'
  | 'banned'
  | 'muted'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'id_conflict'
  | 'invalid_since'
  | 'payload_too_large'
  | 'quota_exceeded'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'slow_mode'
  | 'internal'
  | 'overloaded'
  | 'unavailable';

/** Codes of what went wrong on this side: no connection, no answer in time, nobody signed in, a full queue, closed. */
export type LocalCode = 'disconnected' | 'timeout' | 'signed_out' | 'queue_full' | 'closed';

export type ErrorCode = ServerCode | LocalCode;

/** An error as it comes over the wire, in an `error` frame or a failed REST answer. */
export interface Problem {
  readonly code: string;
  readonly error?: string;
  readonly retry?: boolean;
  readonly retry_after_ms?: number | undefined;
  readonly field?: string;
  readonly request_id?: string;
}

/** Whatever this package rejects with, but for aborts, which reject with the signal's own reason. */
export class ParleyError extends Error {
  readonly code: ErrorCode;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;
  /** Milliseconds after which that is, where the server said so. */
  readonly retryAfterMs: number | null;
  /** The member of the request that is at fault. */
  readonly field: string | null;
  /** What to give to whoever runs the server. */
  readonly requestId: string | null;

  constructor(problem: Problem) {
    super(problem.error ?? problem.code);
    this.name = new.target.name;
    this.code = problem.code as ErrorCode;
    this.retry = problem.retry ?? false;
    this.retryAfterMs = problem.retry_after_ms ?? null;
    this.field = problem.field ?? null;
    this.requestId = problem.request_id ?? null;
  }
}

/** Nobody is signed in (any more): `unauthenticated`, `token_expired`, `token_reused`, `invalid_credentials`, `signed_out`. */
export class AuthError extends ParleyError {}
/** You may not: `forbidden`, `not_a_member`, `banned`, `muted`. */
export class ForbiddenError extends ParleyError {}
/** `not_found`: there is no such thing, or you may not know of it. */
export class NotFoundError extends ParleyError {}
/** `conflict`, `id_conflict`, `invalid_since`. */
export class ConflictError extends ParleyError {}
/** Too often: `rate_limited`, `slow_mode`. See `retryAfterMs`. */
export class RateLimitError extends ParleyError {}
/** The connection was lost before the answer, or none came: `disconnected`, `timeout`. */
export class ConnectionError extends ParleyError {}

const CLASSES: Readonly<Partial<Record<string, typeof ParleyError>>> = {
  unauthenticated: AuthError,
  invalid_credentials: AuthError,
  token_expired: AuthError,
  token_reused: AuthError,
  signed_out: AuthError,
  forbidden: ForbiddenError,
  not_a_member: ForbiddenError,
  banned: ForbiddenError,
  muted: ForbiddenError,
  not_found: NotFoundError,
  conflict: ConflictError,
  id_conflict: ConflictError,
  invalid_since: ConflictError,
  rate_limited: RateLimitError,
  slow_mode: RateLimitError,
  disconnected: ConnectionError,
  timeout: ConnectionError,
};

/** The error of the class that goes with the code. Unknown codes of later servers are plain {@link ParleyError}s. */
export function errorOf(problem: Problem): ParleyError {
  return new (CLASSES[problem.code] ?? ParleyError)(problem);
}

/** An error of this side. */
export function localError(code: LocalCode, error: string): ParleyError {
  return errorOf({ code, error, retry: code === 'disconnected' || code === 'timeout' });
}

export function isRetryable(error: unknown): error is ParleyError {
  return error instanceof ParleyError && error.retry;
}
