import { expect, test } from 'vitest';
import { startWorld } from '../../bench/faults/world.js';
import type { Mutation } from '../../src/ipc/messages.js';
import { until } from '../helpers/deadline.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

const TIMEOUT = { timeout: 120_000 };

/** Some people talk on a server for a while, which may break a promise; gives the promises found broken. */
async function brokenPromises(mutation: Mutation | null): Promise<string[]> {
  const server = await startServerWithDatabase({ SHARDS: '2', PARLEY_TEST_FAULTS: '1' });
  const world = await startWorld({
    origins: () => [server.url],
    clients: 5,
    rooms: 2,
    depth: 3,
    pauseMs: 10,
    settleMs: mutation === null ? 30_000 : 3_000,
  });
  const talk = async (messages: number) => {
    const enough = world.totals().delivered + messages;
    await until(() => world.totals().delivered >= enough, `${messages} more deliveries`);
  };
  await talk(500);
  if (mutation !== null) server.writeLine(JSON.stringify({ mutate: mutation }));
  await talk(1_000);
  // The guest is removed once at least, and what he hears then is known.
  if (mutation === 'keep_revoked') await until(() => world.guestHeard() >= 3, 'the guest, removed', 30_000);
  const verdicts = await world.judge();
  await server.stop();
  return [...new Set(verdicts.map(({ promise }) => promise.split(' ')[0] ?? ''))].sort();
}

test('a server that keeps its promises is found to', TIMEOUT, async () => {
  expect(await brokenPromises(null)).toEqual([]);
});

test.each([
  ['drop_event', 'I5'],
  ['repeat_event', 'I5'],
  ['swap_events', 'I5'],
  ['ack_before_commit', 'I1'],
  ['keep_revoked', 'I9'],
] as const)('the checker notices a server that breaks one: %s', TIMEOUT, async (mutation, promise) => {
  expect(await brokenPromises(mutation)).toContain(promise);
});
