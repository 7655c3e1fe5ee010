import { afterAll, beforeAll, expect, test } from 'vitest';
import { Refusal } from '../../src/protocol/errors.js';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { SlotClaim, SlowModeStore } from '../../src/rooms/moderation-port.js';
import { createSlowMode } from '../../src/rooms/slow-mode.js';
import { slowModeStore } from '../../src/store/slow-mode.js';
import { must } from '../helpers/deadline.js';
import { openRoomWorld, type RoomWorld } from '../helpers/room-world.js';

let world: RoomWorld;
let slots: SlowModeStore;

beforeAll(async () => {
  world = await openRoomWorld();
  slots = slowModeStore(world.db);
});

afterAll(() => world.close());

const LONG_S = 3_600;

async function slowRoom(members: number, slow_mode_s = LONG_S): Promise<{ room: RoomId; users: UserId[] }> {
  const [admin, ...users] = (await world.users(members + 1)) as [UserId, ...UserId[]];
  const room = await world.publicRoom(admin, users);
  await world.service.patchRoom(admin, room, { slow_mode_s });
  return { room, users };
}

const claimOf = (room_id: RoomId, user_id: UserId | undefined): SlotClaim => ({
  room_id,
  user_id: must(user_id),
  message_id: newId<MessageId>(),
});

test('answers come in the order of the claims, null for who is no member', async () => {
  const { room, users } = await slowRoom(2);
  const stranger = newId<UserId>();
  const first = [claimOf(room, users[0]), claimOf(room, stranger)];
  expect(await slots.claim(first)).toEqual([0, null]);
  const [wait, absent, free, ...none] = await slots.claim([
    claimOf(room, users[0]),
    claimOf(room, stranger),
    claimOf(room, users[1]),
  ]);
  expect(wait).toBeGreaterThan((LONG_S - 60) * 1_000);
  expect([absent, free, none]).toEqual([null, 0, []]);
  expect(await slots.claim([])).toEqual([]);
});

test('batches on two nodes, in opposite order, let each member through once and never deadlock', async () => {
  const { room, users } = await slowRoom(30);
  const there = slowModeStore(world.otherDb);
  const batches = Array.from({ length: 20 }, (_, i) => {
    const claims = users.map((user) => claimOf(room, user));
    return (i % 2 ? slots : there).claim(i % 4 < 2 ? claims : claims.toReversed());
  });
  const answers = (await Promise.all(batches)).flat();
  expect(answers.filter((wait) => wait === 0)).toHaveLength(users.length);
  const waits = answers.filter((wait) => wait !== 0);
  expect(Math.min(...waits.map(Number))).toBeGreaterThan((LONG_S - 60) * 1_000);
});

test('a send whose outcome is unknown keeps its slot for the same message, and for no other', async () => {
  const { room, users } = await slowRoom(1);
  const slowMode = createSlowMode(slots, () => {});
  const claim = claimOf(room, users[0]);
  const absent = () => new Refusal('not_a_member');
  const away = () => Promise.reject(new Refusal('unavailable'));
  await expect(slowMode.run(claim, absent, away)).rejects.toMatchObject({ problem: { code: 'unavailable' } });
  const other = slowMode.run(claimOf(room, users[0]), absent, async () => 'sent');
  await expect(other).rejects.toMatchObject({ problem: { code: 'slow_mode' } });
  expect(await slowMode.run(claim, absent, async () => 'sent')).toBe('sent');
});

test('a send that was refused gives its slot back, but never that of a message that is there', async () => {
  const { room, users } = await slowRoom(1);
  const slowMode = createSlowMode(slots, () => {});
  const absent = () => new Refusal('not_a_member');
  const refused = () => Promise.reject(new Refusal('not_found'));
  const claim = claimOf(room, users[0]);
  await expect(slowMode.run(claim, absent, refused)).rejects.toMatchObject({
    problem: { code: 'not_found' },
  });
  await world.say(room, must(users[0]), ['kept']);
  const [kept] = await world.db<{ id: MessageId }[]>`select id from messages where room_id = ${room}`;
  const sent = { ...claim, message_id: must(kept).id };
  expect(await slots.claim([sent])).toEqual([0]);
  await slots.release(sent);
  expect(await slots.claim([claimOf(room, users[0])])).not.toEqual([0]);
});

test('claims of one member at once, gathered into statements, let one through', async () => {
  const { room, users } = await slowRoom(3);
  const slowMode = createSlowMode(slots, () => {});
  const absent = () => new Refusal('not_a_member');
  let sent = 0;
  const all = users.flatMap((user) =>
    Array.from({ length: 20 }, () =>
      slowMode.run(claimOf(room, user), absent, async () => {
        sent++;
      }),
    ),
  );
  const outcomes = await Promise.allSettled(all);
  expect(sent).toBe(users.length);
  const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(new Set(lost.map(({ reason }) => reason.problem.code))).toEqual(new Set(['slow_mode']));
  const gone = slowMode.run(claimOf(room, newId()), absent, async () => {});
  await expect(gone).rejects.toMatchObject({ problem: { code: 'not_a_member' } });
});
