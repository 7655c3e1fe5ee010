import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { onOneServer } from '../../src/bus/redis-place.js';
import { type SharedLimit, type SharedLimits, sharedLimits } from '../../src/bus/shared-limits.js';
import { createLimiter } from '../../src/lib/rate-limits.js';
import { until } from '../helpers/deadline.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';

const log = { info: () => undefined, warn: () => undefined };
const START = 1_234_567;
const LIMITS: SharedLimit[] = [{ perMinute: 3 }, { perMinute: 40 }];

describe.skipIf(!hasRedis)('shared limits (skipped where the machine has no redis-server)', () => {
  let redis: RedisServer;
  let opened: SharedLimits[];

  beforeAll(async () => {
    redis = await startRedis(['--appendonly', 'no']);
  });
  beforeEach(() => {
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((limits) => limits.close()));
    await redis.command('FLUSHALL');
  });

  /** A node's limits, connected. */
  async function open(now?: () => number): Promise<SharedLimits> {
    const limits = sharedLimits({
      locate: onOneServer(redis.url),
      log,
      ...(now === undefined ? {} : { now }),
    });
    opened.push(limits);
    const probe = limits.limiter('probe', { perMinute: 1_000_000 });
    await until(async () => (await probe.take('x')) !== null, 'limits that are connected');
    return limits;
  }

  /** As often as it takes on a machine that is busy for longer than an answer may take. */
  function answer(take: () => Promise<number | null>): Promise<number> {
    return until(async () => {
      const wait = await take();
      return wait === null ? null : { wait };
    }, 'an answer').then(({ wait }) => wait);
  }

  test.each(LIMITS)('%j answers as the limiter of a node does', async (limit) => {
    let time = START;
    const limits = await open(() => time);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 20, maxLength: 60 }),
        async (pauses) => {
          const name = `run-${run++}`;
          const shared = limits.limiter(name, limit);
          const own = createLimiter(limit, () => time);
          for (const pause of pauses) {
            time += pause % 3 === 0 ? pause : pause % 400;
            const wait = await shared.take('a');
            if (wait === null) return; // a slow machine: what it has counted is unknown
            expect(wait).toBe(own.take('a'));
          }
        },
      ),
      { numRuns: 30 },
    );
    expect(limits.totals.answered).toBeGreaterThan(30); // of 600 at least, where every answer is in time
  });

  test('takes of several nodes at once count together, to the one', async () => {
    const nodes = [await open(), await open(), await open()];
    const takes = nodes.flatMap((limits) => {
      const limiter = limits.limiter('sends', { perMinute: 50 });
      return Array.from({ length: 40 }, () => limiter.take('ann'));
    });
    const waits = await Promise.all(takes);
    const unanswered = waits.filter((wait) => wait === null).length;
    const allowed = waits.filter((wait) => wait === 0).length;
    expect(allowed).toBeLessThanOrEqual(50);
    expect(allowed + unanswered).toBeGreaterThanOrEqual(50);
    expect(waits.every((wait) => wait === null || wait <= 65_000)).toBe(true);
  });

  test('names and keys are counted apart, and keys expire', async () => {
    const limits = await open();
    const [one, other] = [limits.limiter('one', { perMinute: 1 }), limits.limiter('other', { perMinute: 1 })];
    for (const key of ['a', 'b']) {
      expect(await answer(() => one.take(key))).toBe(0);
      expect(await answer(() => other.take(key))).toBe(0);
    }
    expect(await answer(() => one.take('a'))).toBeGreaterThan(0);
    for (const key of (await redis.command('KEYS', '*')) as string[]) {
      expect(Number(await redis.command('PTTL', key))).toBeGreaterThan(0);
    }
  });

  test('a limit of 0 is off', async () => {
    const limits = await open();
    const limiter = limits.limiter('off', { perMinute: 0 });
    for (let i = 0; i < 100; i++) expect(await limiter.take('a')).toBe(0);
    expect(await redis.command('KEYS', 'parley:{limit}:off:*')).toEqual([]);
  });

  test('a Redis that forgot the scripts is told them again', async () => {
    const limits = await open();
    const limiter = limits.limiter('sends', { perMinute: 1 });
    expect(await answer(() => limiter.take('a'))).toBe(0);
    await redis.command('SCRIPT', 'FLUSH');
    expect(await answer(() => limiter.take('a'))).toBeGreaterThan(0);
  });

  test('a Redis that does not answer leaves the decision to the caller, and is asked again later', async () => {
    const limits = await open();
    const limiter = limits.limiter('sends', { perMinute: 1_000_000 });
    redis.freeze();
    const waits = await Promise.all(Array.from({ length: 3_000 }, () => limiter.take('a')));
    expect(new Set(waits)).toEqual(new Set([null]));
    expect(limits.totals.unanswered).toBeGreaterThanOrEqual(3_000);
    redis.thaw();
    await until(async () => (await limiter.take('a')) !== null, 'an answer');
    await redis.stop();
    expect(await limiter.take('a')).toBeNull();
    await redis.start();
    await until(async () => (await limiter.take('a')) !== null, 'an answer after the restart');
  });
});
