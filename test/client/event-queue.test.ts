import { expect, test } from 'vitest';
import { createEventQueue } from '../../client/src/event-queue.js';

const queueOf = (limit: number, state = () => 'state') => {
  let ends = 0;
  const queue = createEventQueue<string>(limit, state, () => {
    ends += 1;
  });
  return { queue, ends: () => ends };
};

test('events come in order, whoever is first', async () => {
  const { queue } = queueOf(10);
  const waiting = [queue.next(), queue.next()];
  for (const event of ['a', 'b', 'c']) queue.push(event);
  const taken = [...(await Promise.all(waiting)), await queue.next()];
  expect(taken.map(({ value }) => value)).toEqual(['a', 'b', 'c']);
});

test('a slow consumer gets the state of the moment, and what comes after it', async () => {
  let state = 'at 1';
  const { queue } = queueOf(2, () => state);
  for (const event of ['1', '2', '3', '4']) queue.push(event);
  state = 'at 4';
  expect((await queue.next()).value).toBe('at 4');
  queue.push('5');
  expect((await queue.next()).value).toBe('5');
});

test('what came before the end can still be taken', async () => {
  const { queue, ends } = queueOf(2);
  queue.push('last');
  queue.end();
  queue.push('too late');
  expect(await queue.next()).toEqual({ done: false, value: 'last' });
  expect(await queue.next()).toEqual({ done: true, value: undefined });
  expect(ends()).toBe(1);
});

test('leaving the loop ends it', async () => {
  const { queue, ends } = queueOf(5);
  queue.push('a');
  queue.push('b');
  for await (const event of queue) if (event === 'a') break;
  expect(ends()).toBe(1);
  expect((await queue.next()).done).toBe(true);
});

test('who waits when it ends is let go', async () => {
  const { queue } = queueOf(5);
  const waiting = queue.next();
  queue.end();
  expect((await waiting).done).toBe(true);
});
