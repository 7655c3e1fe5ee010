import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { createJoinSlots } from '../../src/rooms/join-slots.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const open = (atOnce: number, ofUserAtOnce = atOnce) =>
  createJoinSlots({ atOnce, ofUserAtOnce, waitMs: 1_000, late: () => new Error('late') });

test('so many run at a time, the others after them in the order of their asking, also after a failure', async () => {
  const slots = open(2);
  const begun: number[] = [];
  const work = Array.from({ length: 4 }, () => deferred<void>());
  const runs = work.map(({ promise }, i) =>
    slots.run('one', () => {
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
  const running = slots.run('one', () => first.promise);
  const old = slots.run('one', async () => void begun.push('old'));
  old.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(900);
  const fresh = slots.run('one', async () => void begun.push('fresh'));
  await vi.advanceTimersByTimeAsync(200);
  first.resolve();
  await running;
  await expect(old).rejects.toThrow('late');
  await fresh;
  expect(begun).toEqual(['fresh']);
});

test('who asks for much has a few of it under way, and others don’t wait behind the rest', async () => {
  const slots = open(3, 2);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (user: string, name: string) =>
    slots.run(user, () => {
      begun.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const all = ['a1', 'a2', 'a3', 'a4'].map((name) => ask('greedy', name));
  all.push(...['b1', 'b2'].map((name) => ask('modest', name)));
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual(['a1', 'a2', 'b1']);
  ends.get('a1')?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual(['a1', 'a2', 'b1', 'b2']);
  ends.get('a2')?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual(['a1', 'a2', 'b1', 'b2', 'a3']);
  ends.get('b1')?.();
  await vi.advanceTimersByTimeAsync(0);
  for (const name of ['b2', 'a3', 'a4']) ends.get(name)?.();
  await Promise.all(all);
});
