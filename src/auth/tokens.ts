/**
 * Access tokens (JWT, HS256) and refresh tokens (opaque). An access token says who called in which session;
 * whether the session still lives is asked elsewhere.
 */
import { createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { Caller } from '../ipc/messages.js';
import { isUuid, type SessionId, type UserId } from '../protocol/ids.js';

const ALGORITHM = 'HS256'; // PROTOCOL §6; pinned on both sides, so that a token can't choose it
const ACCESS_TOKEN_MAX_CHARS = 4_096; // AuthenticatePayload's cap; ours have about 330
const REFRESH_TOKEN_BYTES = 32; // can't be guessed, so a plain SHA-256 of it is safe to store

export interface AccessToken {
  readonly token: string;
  /** Seconds. */
  readonly expires_in: number;
}

export type TokenCheck =
  | {
      readonly ok: true;
      readonly caller: Caller;
      readonly issuedAtMs: number;
      readonly expiresAtMs: number;
    }
  | { readonly ok: false; readonly code: 'unauthenticated' | 'token_expired' };

const UNAUTHENTICATED: TokenCheck = { ok: false, code: 'unauthenticated' };
const EXPIRED: TokenCheck = { ok: false, code: 'token_expired' };

/** Signs an access token; its life is cut to whole seconds, at least one. */
export function signAccessToken(
  caller: Caller,
  options: { readonly secret: string; readonly expirationMs: number },
): AccessToken {
  const expires_in = Math.max(1, Math.floor(options.expirationMs / 1_000));
  const claims = { user_id: caller.user_id, username: caller.username, sid: caller.sid };
  const token = jwt.sign(claims, keyOf(options.secret), { algorithm: ALGORITHM, expiresIn: expires_in });
  return { token, expires_in };
}

/**
 * Checks signature, expiry and the type of every claim; throws nothing. Only a token that was ours can be
 * `token_expired`. Costs about 6 µs for each secret up to the right one: it runs in the front.
 *
 * @param secrets of which one signed it; the likeliest first
 */
export function verifyAccessToken(token: string, ...secrets: readonly string[]): TokenCheck {
  if (token.length > ACCESS_TOKEN_MAX_CHARS) return UNAUTHENTICATED;
  for (const secret of secrets) {
    try {
      return checkClaims(jwt.verify(token, keyOf(secret), { algorithms: [ALGORITHM] }));
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError) return EXPIRED;
    }
  }
  return UNAUTHENTICATED;
}

function checkClaims(claims: unknown): TokenCheck {
  if (typeof claims !== 'object' || claims === null) return UNAUTHENTICATED;
  const { user_id, username, sid, iat, exp } = claims as Record<string, unknown>;
  if (typeof user_id !== 'string' || !isUuid(user_id)) return UNAUTHENTICATED;
  if (typeof sid !== 'string' || !isUuid(sid)) return UNAUTHENTICATED;
  if (typeof username !== 'string' || username === '') return UNAUTHENTICATED;
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return UNAUTHENTICATED;
  const caller: Caller = { user_id: user_id as UserId, username, sid: sid as SessionId };
  return { ok: true, caller, issuedAtMs: (iat as number) * 1_000, expiresAtMs: (exp as number) * 1_000 };
}

/** Of the settings' few secrets. */
const keys = new Map<string, KeyObject>();

/** Given a string, jsonwebtoken tries to read it as PEM each time: 300 µs a token instead of 6. */
function keyOf(secret: string): KeyObject {
  const known = keys.get(secret);
  if (known !== undefined) return known;
  const key = createSecretKey(secret, 'utf8');
  keys.set(secret, key);
  return key;
}

/** A fresh refresh token, for the client, and the hash of it, for the store. */
export function newRefreshToken(): { readonly token: string; readonly hash: Uint8Array } {
  const token = randomBytes(REFRESH_TOKEN_BYTES).toString('base64url');
  return { token, hash: refreshTokenHash(token) };
}

/** SHA-256 over the token's text, 32 bytes; of any text. */
export function refreshTokenHash(token: string): Uint8Array {
  return createHash('sha256').update(token, 'utf8').digest();
}
