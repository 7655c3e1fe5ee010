import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLimiter } from '../../src/lib/rate-limits.js';

const MINUTE_MS = 60_000;

function clock(): { now: () => number; time: number } {
  const self = { time: 1_234_567, now: () => self.time };
  return self;
}

describe('a limit per minute', () => {
  test('is never passed in any minute, and the wait it names is enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 100 }),
        (perMinute, pauses) => {
          const at = clock();
          const limiter = createLimiter({ perMinute }, at.now);
          const allowed: number[] = [];
          const take = (): number => {
            const wait = limiter.take('a');
            if (wait === 0) allowed.push(at.time);
            return wait;
          };
          for (const pause of pauses) {
            at.time += pause;
            const wait = take();
            expect(wait).toBeLessThanOrEqual(MINUTE_MS + 5_000);
            if (wait === 0) continue;
            at.time += wait;
            expect(take()).toBe(0);
          }
          for (const [i, time] of allowed.entries()) {
            const later = allowed[i + perMinute];
            if (later !== undefined) expect(later - time).toBeGreaterThanOrEqual(MINUTE_MS);
          }
        },
      ),
    );
  });

  test('counts every key by itself', () => {
    const limiter = createLimiter({ perMinute: 1 }, clock().now);
    expect([limiter.take('a'), limiter.take('b')]).toEqual([0, 0]);
    expect(limiter.take('a')).toBeGreaterThan(0);
  });

  test('forgets the least recent key beyond its cap', () => {
    const limiter = createLimiter({ perMinute: 1, maxKeys: 2 }, clock().now);
    for (const key of ['a', 'b', 'c']) expect(limiter.take(key)).toBe(0);
    expect(limiter.take('c')).toBeGreaterThan(0);
    expect(limiter.take('a')).toBe(0);
  });
});

describe('a limit per second with a burst', () => {
  test('allows the burst, then the rate', () => {
    const at = clock();
    const limiter = createLimiter({ perSecond: 20, burst: 40 }, at.now);
    for (let i = 0; i < 40; i++) expect(limiter.take('a')).toBe(0);
    expect(limiter.take('a')).toBe(50);
    at.time += 25;
    expect(limiter.take('a')).toBe(25);
    at.time += 25;
    expect(limiter.take('a')).toBe(0);
    expect(limiter.take('a')).toBe(50);
    at.time += MINUTE_MS;
    for (let i = 0; i < 40; i++) expect(limiter.take('a')).toBe(0);
    expect(limiter.take('a')).toBeGreaterThan(0);
  });
});

test('0 turns a limit off', () => {
  const off = [createLimiter({ perMinute: 0 }), createLimiter({ perSecond: 0, burst: 0 })];
  for (const limiter of off) for (let i = 0; i < 1_000; i++) expect(limiter.take('a')).toBe(0);
});
