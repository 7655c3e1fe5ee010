import { LRUCache } from 'lru-cache';
import { type TokenCheck, verifyAccessToken } from '../auth/tokens.js';
import type { EndedSession } from '../ipc/messages.js';
import type { CacheFigures } from '../observability/cache-metrics.js';
import type { SessionId } from '../protocol/ids.js';
import type { SessionRegistry } from './ports.js';

const VERIFIED_MAX = 10_000; // tokens known to be signed, some 700 bytes each
const ENDED_MAX = 500_000; // ended sessions kept in memory, some 100 bytes each
const STALE_MS = 30_000; // without news from the database for longer, nobody is let in
const CLOCK_SKEW_MS = 60_000; // between the node that signed a token and the database

export interface Sessions extends SessionRegistry {
  /** Sessions have ended: no token of theirs is good any more. Returns those that weren't known to have. */
  end(ended: readonly EndedSession[]): readonly EndedSession[];
  /** What the watch over the database found; from the first time on, tokens are judged. */
  heard(ended: readonly EndedSession[]): readonly EndedSession[];
  /** Of the ended sessions: tokens found to be of one, all others, and how many are kept. */
  lookups(): CacheFigures;
  /** Of the tokens known to be signed. */
  verified(): CacheFigures;
  /** Resolves when tokens are judged. */
  readonly whenReady: Promise<void>;
}

/**
 * Verifies access tokens. A token that is signed and in date is good unless its session has ended, and the
 * sessions that ended within a token's life are all in memory: a check never waits, also when 10,000 clients
 * come back at once.
 *
 * @param jwtSecrets of which one signed a token
 */
export function createSessions(
  jwtSecrets: readonly string[],
  tokenLifeMs: number,
  limits = { endedMax: ENDED_MAX, staleMs: STALE_MS },
): Sessions {
  /** Clients come with the same token again, and no other part of a request costs the front as much as a signature. */
  const signed = new LRUCache<string, TokenCheck & { readonly ok: true }>({ max: VERIFIED_MAX });
  /** Session → when it ended (epoch ms), about in that order. */
  const gone = new Map<SessionId, number>();
  /** Ends before this time are forgotten, so tokens from before it must be renewed. */
  let forgottenMs = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  const lookups = { hits: 0, misses: 0 };
  const verified = { hits: 0, misses: 0 };
  let ready!: () => void;
  const whenReady = new Promise<void>((resolve) => {
    ready = resolve;
  });

  function verify(token: string): TokenCheck {
    const known = signed.get(token);
    if (known !== undefined && Date.now() < known.expiresAtMs) {
      verified.hits++;
      return known;
    }
    verified.misses++;
    const found = verifyAccessToken(token, ...jwtSecrets);
    // A copy: a part of a header would keep all of the header.
    if (found.ok) signed.set(Buffer.from(token).toString(), found);
    else signed.delete(token);
    return found;
  }

  function end(ended: readonly EndedSession[]): readonly EndedSession[] {
    const fresh = ended.filter(({ sid }) => !gone.has(sid));
    for (const { sid, ended_ms } of fresh) gone.set(sid, ended_ms);
    const outdated = Date.now() - tokenLifeMs - CLOCK_SKEW_MS;
    for (const [sid, endedMs] of gone) {
      if (endedMs > outdated && gone.size <= limits.endedMax) break;
      gone.delete(sid);
      if (endedMs > outdated) forgottenMs = Math.max(forgottenMs, endedMs);
    }
    return fresh;
  }

  return {
    check(token) {
      const found = verify(token);
      if (!found.ok) return found;
      if (gone.has(found.caller.sid)) {
        lookups.hits++;
        return { ok: false, code: 'unauthenticated' };
      }
      lookups.misses++;
      if (performance.now() - heardAt > limits.staleMs) return { ok: false, code: 'unavailable' };
      const { issuedAtMs } = found;
      if (forgottenMs > 0 && issuedAtMs < forgottenMs + CLOCK_SKEW_MS)
        return { ok: false, code: 'token_expired' };
      return found;
    },
    end,
    heard(ended) {
      heardAt = performance.now();
      ready();
      return end(ended);
    },
    lookups: () => ({ ...lookups, entries: gone.size }),
    verified: () => ({ ...verified, entries: signed.size }),
    whenReady,
  };
}
