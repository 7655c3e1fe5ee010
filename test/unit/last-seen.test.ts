import { expect, test } from 'vitest';
import { createLastSeen } from '../../src/auth/last-seen.js';
import type { LastSeen } from '../../src/auth/presence-port.js';
import { newId, type UserId } from '../../src/protocol/ids.js';
import { until } from '../helpers/deadline.js';

const EVERY_MS = 5;
const NEVER_MS = 1_000_000;

test('all who went meanwhile are written in one statement, each at his latest time', async () => {
  const batches: (readonly LastSeen[])[] = [];
  const lastSeen = createLastSeen(
    async (seen) => void batches.push(seen),
    () => {},
    NEVER_MS,
  );
  const [ann, ben] = [newId<UserId>(), newId<UserId>()];
  lastSeen.note(ann, 2_000);
  lastSeen.note(ben, 1_000);
  lastSeen.note(ann, 1_500);
  await lastSeen.close();
  expect(batches).toHaveLength(1);
  expect(new Map(batches[0]?.map(({ user_id, at }) => [user_id, at.getTime()]))).toEqual(
    new Map([
      [ann, 2_000],
      [ben, 1_000],
    ]),
  );
});

test('what could not be written is tried again with what came since', async () => {
  const batches: (readonly LastSeen[])[] = [];
  let away = true;
  const reported: unknown[] = [];
  const write = async (seen: readonly LastSeen[]) => {
    if (away) throw new Error('away');
    batches.push(seen);
  };
  const lastSeen = createLastSeen(write, (error) => reported.push(error), EVERY_MS);
  const [ann, ben] = [newId<UserId>(), newId<UserId>()];
  lastSeen.note(ann, 2_000);
  await until(() => reported.length > 0, 'the failure');
  lastSeen.note(ben, 3_000);
  lastSeen.note(ann, 1_000); // earlier than what waits
  away = false;
  await until(() => batches.length > 0, 'the statement');
  await lastSeen.close();
  expect(
    batches
      .flat()
      .map(({ at }) => at.getTime())
      .sort(),
  ).toEqual([2_000, 3_000]);
});
