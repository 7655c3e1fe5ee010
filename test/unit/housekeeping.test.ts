import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startHousekeeping } from '../../src/shard/housekeeping.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TOKEN_LIFE_MS = 7 * DAY_MS;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Runs it over answers of the store; null is a database that is away. */
function keepHouse(answers: (number | null)[]) {
  const cutoffs: number[] = [];
  const errors: unknown[] = [];
  const stop = startHousekeeping({
    purgeSessions: async (before) => {
      cutoffs.push(before.getTime());
      const answer = answers.shift();
      if (answer === null) throw new Error('away');
      return answer ?? 0;
    },
    purgeStandings: async () => 0,
    tokenLifeMs: TOKEN_LIFE_MS,
    report: (error) => errors.push(error),
  });
  return { cutoffs, errors, stop };
}

describe('housekeeping', () => {
  it('purges every hour, batch after batch, what ended longer ago than a token lives and a day', async () => {
    const { cutoffs, stop } = keepHouse([1_000, 1_000, 3, 0]);
    await vi.advanceTimersByTimeAsync(HOUR_MS - 1);
    expect(cutoffs).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(cutoffs).toEqual(Array.from({ length: 4 }, () => Date.now() - TOKEN_LIFE_MS - DAY_MS));
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(cutoffs).toHaveLength(5);
    stop();
    await vi.advanceTimersByTimeAsync(DAY_MS);
    expect(cutoffs).toHaveLength(5);
  });

  it('goes on after an hour in which the database was away', async () => {
    const { cutoffs, errors, stop } = keepHouse([null, 0]);
    await vi.advanceTimersByTimeAsync(2 * HOUR_MS);
    expect(errors).toHaveLength(1);
    expect(cutoffs).toHaveLength(2);
    stop();
  });
});
