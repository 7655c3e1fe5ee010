import { expect, test } from 'vitest';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { createAdmission } from '../../src/rooms/admission.js';
import type { Standing, StandingReader } from '../../src/rooms/ports.js';

const KEPT_MAX = 100;
const ROOMS = 30;
const MEMBERS = 10;

/** Everybody is a member of every room; counts what is asked for. */
function everybody(): StandingReader & { asked: number } {
  const reader = {
    asked: 0,
    standings: async (of: readonly unknown[]) => {
      reader.asked += of.length;
      return of.map(() => ({ role: 'member', muted_until: null }) as unknown as Standing);
    },
  };
  return reader;
}

test('standings are kept up to a number for all rooms together, those of the rooms used last', async () => {
  const reader = everybody();
  const admission = createAdmission(reader, KEPT_MAX);
  const rooms = Array.from({ length: ROOMS }, () => newId<RoomId>());
  const users = Array.from({ length: MEMBERS }, () => newId<UserId>());
  for (const room of rooms) await Promise.all(users.map((user) => admission.of(room, user)));
  expect(reader.asked).toBe(ROOMS * MEMBERS);
  expect(admission.size).toBeLessThanOrEqual(KEPT_MAX);
  expect(admission.size).toBeGreaterThan(KEPT_MAX / 2);

  const last = rooms.at(-1) as RoomId;
  await Promise.all(users.map((user) => admission.of(last, user)));
  expect(reader.asked).toBe(ROOMS * MEMBERS);
});

test('what is forgotten counts no more', async () => {
  const admission = createAdmission(everybody(), KEPT_MAX);
  const [room, other] = [newId<RoomId>(), newId<RoomId>()];
  const users = Array.from({ length: MEMBERS }, () => newId<UserId>());
  for (const each of [room, other]) await Promise.all(users.map((user) => admission.of(each, user)));
  expect(admission.size).toBe(2 * MEMBERS);
  admission.forget(room, users[0] as UserId);
  admission.forgetUser(users[1] as UserId);
  expect(admission.size).toBe(2 * MEMBERS - 3);
  admission.forget(room, null);
  expect(admission.size).toBe(MEMBERS - 1);
});

test('who asks later is answered later, though what was asked first has become stale and takes longer', async () => {
  const statements: ((standings: (Standing | null)[]) => void)[] = [];
  const admission = createAdmission({ standings: () => new Promise((resolve) => statements.push(resolve)) });
  const [room, user] = [newId<RoomId>(), newId<UserId>()];
  const member = { role: 'member', muted_until: null } as unknown as Standing;
  const answered: string[] = [];
  const ask = async (name: string) => {
    await admission.of(room, user);
    answered.push(name);
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  const asks = [ask('first')];
  await turn();
  admission.forget(room, user);
  asks.push(ask('second'));
  await turn();
  statements[1]?.([member]);
  await turn();
  asks.push(ask('third')); // it is known by now, but the first two have to go before
  await turn();
  expect(answered).toEqual([]);
  statements[0]?.([member]);
  await Promise.all(asks);
  expect(answered).toEqual(['first', 'second', 'third']);
  expect(statements).toHaveLength(2);
  await turn();
  expect(admission.of(room, user)).toBe(member);
});
