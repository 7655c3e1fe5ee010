/**
 * The one catalogue of errors (PROTOCOL §4): code, HTTP status, whether the same request may succeed later,
 * and the sentence a person reads. Nothing else in the project invents an error code.
 */
interface ErrorSpec {
  readonly status: number;
  readonly retry: boolean;
  readonly sentence: string;
}

export const ERRORS = {
  bad_request: { status: 400, retry: false, sentence: 'The request is malformed.' },
  unauthenticated: { status: 401, retry: false, sentence: 'A valid access token is required.' },
  invalid_credentials: { status: 401, retry: false, sentence: 'The email or the password is wrong.' },
  token_expired: { status: 401, retry: false, sentence: 'The token has expired.' },
  token_reused: {
    status: 401,
    retry: false,
    sentence: 'This refresh token was used before; the session has been ended.',
  },
  forbidden: { status: 403, retry: false, sentence: 'Your role does not allow this.' },
  not_a_member: { status: 403, retry: false, sentence: 'You are not a member of this room.' },
  banned: { status: 403, retry: false, sentence: 'You are banned from this room.' },
  muted: { status: 403, retry: false, sentence: 'You are muted in this room.' },
  not_found: { status: 404, retry: false, sentence: 'There is no such thing, or you may not see it.' },
  method_not_allowed: { status: 405, retry: false, sentence: 'This path does not answer that method.' },
  conflict: { status: 409, retry: false, sentence: 'This conflicts with what exists.' },
  id_conflict: {
    status: 409,
    retry: false,
    sentence: 'A different message was sent with this id before.',
  },
  invalid_since: {
    status: 409,
    retry: false,
    sentence: 'The given revision is beyond the head of the room.',
  },
  payload_too_large: { status: 413, retry: false, sentence: 'The request body is too large.' },
  quota_exceeded: { status: 413, retry: false, sentence: 'The quota is used up.' },
  unsupported_media_type: { status: 415, retry: false, sentence: 'This content type is not accepted.' },
  rate_limited: { status: 429, retry: true, sentence: 'Too many requests; wait a moment.' },
  slow_mode: { status: 429, retry: true, sentence: 'This room is in slow mode; wait a moment.' },
  internal: { status: 500, retry: false, sentence: 'Something went wrong inside the server.' },
  overloaded: { status: 503, retry: true, sentence: 'The server is busy; try again shortly.' },
  unavailable: {
    status: 503,
    retry: true,
    sentence: 'A part of the server is unavailable; try again shortly.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** What a client is told of an error; the payload of an `error` frame and the core of a failed REST answer. */
export interface Problem {
  readonly code: ErrorCode;
  readonly error: string;
  readonly retry: boolean;
  readonly field?: string;
  /** Milliseconds after which a retry can succeed. */
  readonly retry_after_ms?: number;
}

interface ProblemDetails {
  /** The member of the request that is at fault, in dotted form (`metadata.a`). */
  readonly field?: string | undefined;
  /** Replaces the catalogue's sentence. */
  readonly sentence?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Builds the client's view of an error from the catalogue. */
export function problem(code: ErrorCode, details: ProblemDetails = {}): Problem {
  const spec = ERRORS[code];
  return {
    code,
    error: details.sentence ?? spec.sentence,
    retry: spec.retry,
    ...(details.field === undefined ? {} : { field: details.field }),
    ...(details.retryAfterMs === undefined ? {} : { retry_after_ms: Math.ceil(details.retryAfterMs) }),
  };
}

/** An expected refusal of a request: carries a catalogue code to whoever answers the client. */
export class Refusal extends Error {
  readonly problem: Problem;

  constructor(code: ErrorCode, details: ProblemDetails = {}) {
    super(code);
    this.name = 'Refusal';
    this.problem = problem(code, details);
  }
}

/** WebSocket close codes (PROTOCOL §3). */
export const CLOSE_CODES = {
  blocked: 1008,
  restarting: 1012,
  bad_frames: 4002,
  not_authenticated: 4003,
  bad_token: 4004,
  flooding: 4008,
  slow_reader: 4009,
  session_ended: 4010,
} as const;

export type CloseReason = keyof typeof CLOSE_CODES;
