import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { createJoinSlots } from '../../src/rooms/join-slots.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const open = (atOnce: number) => createJoinSlots({ atOnce, waitMs: 1_000, late: () => new Error('late') });

test('so many run at a time, the others after them in the order of their asking, also after a failure', async () => {
  const slots = open(2);
  const begun: number[] = [];
  const work = Array.from({ length: 4 }, () => deferred<void>());
  const runs = work.map(({ promise }, i) =>
    slots.run(() => {
      begun.push(i);
      return promise;
    }),
  );
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual([0, 1]);
  work[1]?.reject(new Error('failed'));
  await expect(runs[1]).rejects.toThrow('failed');
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual([0, 1, 2]);
  for (const { resolve } of work) resolve();
  await Promise.all([runs[0], runs[2], runs[3]]);
  expect(begun).toEqual([0, 1, 2, 3]);
});

test('who has waited too long is refused without having begun, and doesn’t hold up the next', async () => {
  const slots = open(1);
  const begun: string[] = [];
  const first = deferred<void>();
  const running = slots.run(() => first.promise);
  const old = slots.run(async () => void begun.push('old'));
  old.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(900);
  const fresh = slots.run(async () => void begun.push('fresh'));
  await vi.advanceTimersByTimeAsync(200);
  first.resolve();
  await running;
  await expect(old).rejects.toThrow('late');
  await fresh;
  expect(begun).toEqual(['fresh']);
});
