import type { Redis } from 'ioredis';
import { withDeadline } from '../lib/deadline.js';
import { SLIDING_WINDOW } from './limit-scripts.js';
import { type BusLogger, messageOf, quietLog } from './quiet-log.js';
import { openLink } from './redis-link.js';
import type { Locate } from './redis-place.js';
import { isElsewhere, KEY_PREFIX } from './redis-streams.js';

/** As the limits of one node: 0 turns one off. */
export interface SharedLimit {
  readonly perMinute: number;
}

export interface SharedLimiter {
  /**
   * Counts one take for `key` over all nodes: 0 where it is allowed, otherwise the milliseconds after which one
   * will be. null where Redis (or the hub) hasn't said within ANSWER_MS (the take may count all the same): the caller's own
   * limiter decides. Never rejects.
   */
  take(key: string): Promise<number | null>;
}

export interface SharedLimits {
  /** Limiters of one name and limit share their counts, on whatever node. */
  limiter(name: string, limit: SharedLimit): SharedLimiter;
  readonly totals: { readonly answered: number; readonly unanswered: number };
  close(): Promise<void>;
}

export const ANSWER_MS = 75; // on top of a request's time; a healthy Redis, or hub, needs one
const WATCHDOG_MS = 1_000; // then the connection is taken for dead
/** What the counts' keys begin with: the braces keep them on one node of a cluster. */
const LIMITS = `${KEY_PREFIX}{limit}`;
export const MAX_PENDING = 1_000; // takes on their way; more would only come late

/** @param now for tests: milliseconds, in place of Redis' clock */
export function sharedLimits(options: {
  readonly locate: Locate;
  readonly log: BusLogger;
  readonly now?: () => number;
}): SharedLimits {
  const log = quietLog(options.log, {});
  const link = openLink({ locate: () => options.locate(LIMITS), name: 'parley-limits', log });
  const totals = { answered: 0, unanswered: 0 };
  let pending = 0;

  async function ask(key: string, perMinute: number): Promise<number> {
    const given = [options.now?.() ?? '', perMinute];
    const wait = await link.ask(WATCHDOG_MS, (client) => run(client, key, given));
    return Number(wait);
  }

  async function take(key: string, perMinute: number): Promise<number | null> {
    const isStuck = !link.ready() || link.silentMs() > ANSWER_MS;
    if (isStuck || pending >= MAX_PENDING) {
      totals.unanswered++;
      return null;
    }
    pending++;
    const asked = ask(key, perMinute).finally(() => pending--);
    try {
      const wait = await withDeadline(asked, ANSWER_MS, () => new Error(`no answer within ${ANSWER_MS} ms`));
      totals.answered++;
      return wait;
    } catch (error) {
      totals.unanswered++;
      const cause = messageOf(error);
      log.warn('shared_limit_unanswered', { cause });
      if (isElsewhere(cause)) link.drop(cause);
      return null;
    }
  }

  return {
    totals,
    limiter(name, { perMinute }) {
      if (perMinute <= 0) return { take: async () => 0 };
      return { take: (key) => take(`${LIMITS}:${name}:${key}`, perMinute) };
    },
    close: () => link.close(),
  };
}

/** By its digest; where Redis doesn't know it (new, or flushed), with its text, which makes it known. */
async function run(client: Redis, key: string, args: readonly (number | string)[]) {
  try {
    return await client.evalsha(SLIDING_WINDOW.sha, 1, key, ...args);
  } catch (error) {
    if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
    return await client.eval(SLIDING_WINDOW.lua, 1, key, ...args);
  }
}
