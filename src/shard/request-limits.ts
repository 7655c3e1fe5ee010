import type { BusLogger } from '../bus/quiet-log.js';
import { inCluster, onOneServer } from '../bus/redis-place.js';
import { sharedLimits } from '../bus/shared-limits.js';
import type { Config } from '../config.js';
import { ROUTES } from '../http/routes.js';
import type { OverLimit, ToShard } from '../ipc/messages.js';

type HttpRequest = Extract<ToShard, { t: 'http' }>;

/**
 * The limits of REST over all nodes. The front has counted the request by its own node's limits before: what isn't
 * answered here in time (Redis is away or slow) stands as the front let it through.
 */
export interface RequestLimits {
  over(request: HttpRequest): Promise<OverLimit | null>;
  /** How many were let through on the word of their own node. */
  fallbacks(): number;
  close(): Promise<void>;
}

/** Without Redis there is one node, whose front counts all: what it says stands. */
export function createRequestLimits(config: Config, log: BusLogger): RequestLimits {
  const { redis, limits } = config;
  if (redis === null) return { over: async ({ over }) => over, fallbacks: () => 0, close: async () => {} };
  const locate = (redis.cluster ? inCluster : onOneServer)(redis.url);
  const shared = sharedLimits({ locate, log });
  const rest = shared.limiter('rest', { perMinute: limits.restPerMinute });
  const auth = shared.limiter('auth', { perMinute: limits.authPerMinute });
  return {
    async over({ route, caller, address, over, counted }) {
      if (over !== null || counted) return over; // its own node has refused it already
      const takes = [caller === null ? 0 : rest.take(caller.user_id)];
      if (ROUTES[route].limit === 'auth') takes.push(auth.take(address));
      const waits = await Promise.all(takes);
      const wait = Math.max(...waits.map((each) => each ?? 0));
      return wait === 0 ? null : { retry_after_ms: wait };
    },
    fallbacks: () => shared.totals.unanswered,
    close: shared.close,
  };
}
