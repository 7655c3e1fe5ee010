import { LRUCache } from 'lru-cache';
import { verifyAccessToken } from '../auth/tokens.js';
import { type SessionId, shardOf } from '../protocol/ids.js';
import type { SessionRegistry, TokenCheck } from './ports.js';
import type { ShardLinks } from './shard-links.js';

const SESSIONS_MAX = 100_000; // kept in memory; the least recently used is asked for again
const SESSION_TTL_MS = 60_000; // a session that ended where this process didn't hear of it is found by then

export interface Sessions extends SessionRegistry {
  /** The session has ended: no token of it is good any more. */
  end(sid: SessionId): void;
}

/** Verifies access tokens and remembers which sessions are alive. */
export function createSessions(
  jwtSecret: string,
  links: Pick<ShardLinks, 'sessionAlive' | 'shards'>,
): Sessions {
  const alive = new LRUCache<SessionId, true>({ max: SESSIONS_MAX, ttl: SESSION_TTL_MS });
  const ended = new LRUCache<SessionId, true>({ max: SESSIONS_MAX, ttl: SESSION_TTL_MS });

  return {
    check(token) {
      const verified = verifyAccessToken(token, jwtSecret);
      if (!verified.ok) return verified;
      const { sid, user_id } = verified.caller;
      if (alive.has(sid)) return verified;
      const asked = links.sessionAlive(shardOf(user_id, links.shards), { sid, user_id });
      return asked.then((answer): TokenCheck => {
        if (answer === 'unavailable') return { ok: false, code: 'unavailable' };
        // It may have ended while the answer was on its way.
        if (!answer || ended.has(sid)) return { ok: false, code: 'unauthenticated' };
        alive.set(sid, true);
        return verified;
      });
    },
    end(sid) {
      alive.delete(sid);
      ended.set(sid, true);
    },
  };
}
