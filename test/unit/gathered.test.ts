import { expect, test } from 'vitest';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import { gathered } from '../../src/lib/gathered.js';

/** Calls of numbers that are answered, tenfold, when told. */
function calls(max: number) {
  const made: (Deferred<readonly number[]> & { readonly all: readonly number[] })[] = [];
  const ask = gathered<number, number>((all) => {
    const call = { ...deferred<readonly number[]>(), all };
    made.push(call);
    return call.promise;
  }, max);
  const asked = () => made.map(({ all }) => all);
  const answer = (call: number) => made[call]?.resolve((made[call]?.all ?? []).map((each) => each * 10));
  return { ask, asked, answer, fail: (call: number) => made[call]?.reject(new Error('away')) };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('what is asked for while a call is under way goes together in the next, and each gets its own answers', async () => {
  const { ask, asked, answer } = calls(100);
  const first = ask([1, 2]);
  await settled();
  const [second, none, third] = [ask([3]), ask([]), ask([4, 5])];
  await settled();
  expect(asked()).toEqual([[1, 2]]);
  answer(0);
  expect(await first).toEqual([10, 20]);
  await settled();
  expect(asked()).toEqual([
    [1, 2],
    [3, 4, 5],
  ]);
  answer(1);
  expect(await Promise.all([second, none, third])).toEqual([[30], [], [40, 50]]);
});

test('a call takes no more than it may, but for what was asked for as one', async () => {
  const { ask, asked, answer } = calls(3);
  const all = [ask([1, 2]), ask([3, 4]), ask([5, 6, 7, 8]), ask([9])];
  for (let call = 0; call < 4; call++) {
    await settled();
    answer(call);
  }
  expect(await Promise.all(all)).toEqual([[10, 20], [30, 40], [50, 60, 70, 80], [90]]);
  expect(asked()).toEqual([[1, 2], [3, 4], [5, 6, 7, 8], [9]]);
});

test('a call that fails fails what went with it, and the next goes on', async () => {
  const { ask, answer, fail } = calls(100);
  const lost = [ask([1]), ask([2])].map((each) => each.catch((error: Error) => error.message));
  await settled();
  const next = ask([3]);
  fail(0);
  expect(await Promise.all(lost)).toEqual(['away', 'away']);
  await settled();
  answer(1);
  expect(await next).toEqual([30]);
});
