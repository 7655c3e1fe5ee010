import { hubLimits } from '../bus/hub-limits.js';
import type { BusLogger } from '../bus/quiet-log.js';
import { inCluster, onOneServer } from '../bus/redis-place.js';
import { type SharedLimits, sharedLimits } from '../bus/shared-limits.js';
import type { Config } from '../config.js';
import { ROUTES } from '../http/routes.js';
import type { OverLimit, SharedTake, ToShard } from '../ipc/messages.js';

type HttpRequest = Extract<ToShard, { t: 'http' }>;

/**
 * The limits of REST over all nodes, and over all processes of a server. The front has counted the request by its own
 * process' limits before: what isn't answered here in time (Redis or the hub is away or slow) stands as the front let it
 * through.
 */
export interface RequestLimits {
  over(request: HttpRequest): Promise<OverLimit | null>;
  /** Counts takes of a request that another thread answers: 0, or the milliseconds after which all would be allowed. */
  take(takes: readonly SharedTake[]): Promise<number>;
  /** How many were let through on the word of their own process. */
  fallbacks(): number;
  close(): Promise<void>;
}

/** Redis counts for all nodes; without it there is one server, and the hub counts for its processes, if they are several. */
export function createRequestLimits(config: Config, hubPath: string | null, log: BusLogger): RequestLimits {
  const shared = openLimits(config, hubPath, log);
  if (shared === null) {
    // The front counts all: what it says stands.
    return { over: async ({ over }) => over, take: async () => 0, fallbacks: () => 0, close: async () => {} };
  }
  const { restPerMinute, authPerMinute, uploadsPerMinute } = config.limits;
  const limiters = {
    rest: shared.limiter('rest', { perMinute: restPerMinute }),
    auth: shared.limiter('auth', { perMinute: authPerMinute }),
    upload: shared.limiter('upload', { perMinute: uploadsPerMinute }),
  };

  async function take(takes: readonly SharedTake[]): Promise<number> {
    const waits = await Promise.all(takes.map(([limit, key]) => limiters[limit].take(key)));
    return Math.max(0, ...waits.map((each) => each ?? 0));
  }

  return {
    async over({ route, caller, address, over, counted }) {
      if (over !== null || counted) return over; // its own process has refused it already
      const takes: SharedTake[] = caller === null ? [] : [['rest', caller.user_id]];
      if (ROUTES[route].limit === 'auth') takes.push(['auth', address]);
      const wait = await take(takes);
      return wait === 0 ? null : { retry_after_ms: wait };
    },
    take,
    fallbacks: () => shared.totals.unanswered,
    close: shared.close,
  };
}

function openLimits({ redis }: Config, hubPath: string | null, log: BusLogger): SharedLimits | null {
  if (redis !== null) {
    return sharedLimits({ locate: (redis.cluster ? inCluster : onOneServer)(redis.url), log });
  }
  return hubPath === null ? null : hubLimits(hubPath, log);
}
