import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RoomId, UserId } from '../../src/protocol/ids.js';
import { watchChanges } from '../../src/shard/change-watch.js';
import { changesSince, purgeStandingChanges } from '../../src/store/changes.js';
import { must, until } from '../helpers/deadline.js';
import { openRoomWorld, type RoomWorld } from '../helpers/room-world.js';

const DAY_MS = 86_400_000;

let world: RoomWorld;
let admin: UserId;
let ben: UserId;
let room: RoomId;

beforeAll(async () => {
  world = await openRoomWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  [admin, ben] = (await world.users(2)) as [UserId, UserId];
  room = await world.publicRoom(admin, [ben]);
});

const look = (mark: string | null) => changesSince(world.db, mark, DAY_MS);
/** What has changed since a mark, without what was known then. */
async function since(before: Awaited<ReturnType<typeof look>>) {
  const known = new Set(before.standings.map(({ id }) => id));
  const { standings } = await look(before.mark);
  return standings
    .filter(({ id }) => !known.has(id))
    .map(({ room_id, user_id, ended, kind, how }) => ({ room_id, user_id, ended, kind, how }));
}

test('every way to change a standing is found, with whether it has ended', async () => {
  const steps: [string, () => Promise<unknown>, object[]][] = [
    [
      'a role',
      () => world.service.patchMember(admin, room, ben, { role: 'moderator' }),
      [{ room_id: room, user_id: ben, ended: false, kind: 'changed', how: null }],
    ],
    [
      'a removal',
      () => world.service.removeMember(admin, room, ben),
      [{ room_id: room, user_id: ben, ended: true, kind: 'gone', how: 'removed' }],
    ],
    [
      'joining',
      () => world.otherNode.joinRoom(ben, room),
      [{ room_id: room, user_id: ben, ended: false, kind: 'added', how: 'joined' }],
    ],
    [
      'leaving',
      () => world.service.leaveRoom(ben, room),
      [{ room_id: room, user_id: ben, ended: true, kind: 'gone', how: 'left' }],
    ],
    [
      'being added',
      () => world.service.addMember(admin, room, { user_id: ben }),
      [{ room_id: room, user_id: ben, ended: false, kind: 'added', how: 'added' }],
    ],
    [
      'a ban',
      () => world.moderation.banUser(admin, room, ben, null),
      [{ room_id: room, user_id: ben, ended: true, kind: 'gone', how: 'banned' }],
    ],
    [
      'a name',
      () => world.service.patchRoom(admin, room, { name: 'other' }),
      [{ room_id: room, user_id: null, ended: false, kind: 'room', how: null }],
    ],
    [
      'slow mode',
      () => world.service.patchRoom(admin, room, { slow_mode_s: 5 }),
      [{ room_id: room, user_id: null, ended: false, kind: 'room', how: null }],
    ],
    [
      'a user name',
      () => world.db`update users set username = 'another' where id = ${ben}`,
      [{ room_id: null, user_id: ben, ended: false, kind: null, how: null }],
    ],
    [
      'a deleted room',
      () => world.service.deleteRoom(admin, room),
      [{ room_id: room, user_id: null, ended: true, kind: 'room', how: null }],
    ],
  ];
  for (const [what, change, expected] of steps) {
    const before = await look(null);
    await change();
    expect(await since(before), what).toEqual(expected);
  }
});

test('a room’s first members are told apart from those who come later', async () => {
  const before = await look(null);
  const { room: founded } = await world.service.createRoom(admin, {
    type: 'private',
    name: 'new',
    member_ids: [ben],
  });
  const fresh = (await since(before)).filter(({ room_id }) => room_id === founded.id);
  expect(fresh.map(({ kind, how }) => `${kind} ${how}`)).toEqual(['added founded', 'added founded']);
});

test('somebody who is back already has not ended, and his new membership began after the old one’s end', async () => {
  const before = await look(null);
  await world.service.leaveRoom(ben, room);
  await world.otherNode.joinRoom(ben, room);
  const { standings } = await look(before.mark);
  const change = must(standings.find(({ user_id, kind }) => user_id === ben && kind === 'gone'));
  expect(change.ended).toBe(false);
  const [row] = await world.db<{ joined_ms: number }[]>`
    select extract(epoch from joined_at)::float8 * 1000 as joined_ms from room_members
    where room_id = ${room} and user_id = ${ben}`;
  expect(must(row).joined_ms).toBeGreaterThan(change.at_ms);
});

test('a change that commits long after others is found, and each is told once', async () => {
  const heard: string[] = [];
  let late!: () => void;
  const held = new Promise<void>((resolve) => {
    late = resolve;
  });
  const [cat] = (await world.users(1)) as [UserId];
  const slow = world.otherDb.begin(async (tx) => {
    await tx`update room_members set role = 'moderator' where room_id = ${room} and user_id = ${ben}`;
    await held;
  });
  const stop = watchChanges({
    changesSince: (mark) => look(mark),
    ended: () => undefined,
    blocked: () => undefined,
    standings: (changes) => {
      const standings = changes.filter(({ kind }) => kind !== 'added'); // as they were when each test began
      heard.push(...standings.map(({ user_id }) => String(user_id)));
    },
    report: (error) => heard.push(String(error)),
  });
  await world.db`update users set username = 'a-new-name' where id = ${cat}`;
  await until(() => heard.includes(cat), 'the change that commits first');
  expect(heard).not.toContain(ben);
  late();
  await slow;
  await until(() => heard.includes(ben), 'the change that began first');
  await world.db`update users set username = 'a-newer-name' where id = ${cat}`;
  await until(() => heard.filter((each) => each === cat).length > 1, 'another change');
  stop();
  expect(heard.filter((each) => each === ben)).toEqual([ben]);
  expect(heard.filter((each) => each === cat)).toEqual([cat, cat]);
});

test('changes that have served their time are purged', async () => {
  await world.service.leaveRoom(ben, room);
  expect(await purgeStandingChanges(world.db, new Date(Date.now() - DAY_MS))).toBe(0);
  expect(await purgeStandingChanges(world.db, new Date(Date.now() + DAY_MS))).toBeGreaterThan(0);
  expect((await look(null)).standings).toEqual([]);
});

test('one look takes 20,000 changes, and the next goes on behind them', async () => {
  const { mark } = await look(null);
  await world.db`insert into standing_changes (user_id) select gen_random_uuid() from generate_series(1, 20050)`;
  const first = await look(mark);
  const next = await look(first.mark);
  expect(first.standings).toHaveLength(20_000);
  expect(next.standings).toHaveLength(50);
  const ids = [...first.standings, ...next.standings].map(({ id }) => id);
  expect(new Set(ids).size).toBe(20_050);
});
