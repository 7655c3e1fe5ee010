import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { roomHandlers } from '../../src/http/room-handlers.js';
import type { HttpAnswer, HttpCall } from '../../src/http/types.js';
import { newId, type RoomId, type SessionId, type UserId } from '../../src/protocol/ids.js';
import type { Member } from '../../src/protocol/model.js';
import type { RoomService } from '../../src/rooms/room-service.js';
import { standings } from '../../src/store/standings.js';
import { must } from '../helpers/deadline.js';
import { openRoomWorld, type RoomWorld, refused } from '../helpers/room-world.js';

let world: RoomWorld;
let service: RoomService;

beforeAll(async () => {
  world = await openRoomWorld();
  service = world.service;
});

afterAll(() => world.close());

type Two = [UserId, UserId];
type Four = [UserId, UserId, UserId, UserId];
const LATER = '2999-01-01T00:00:00.000Z';

test('who joins has read everything so far; joining twice changes nothing', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a);
  await world.say(room, a, ['one', 'two']);
  const joined = await service.joinRoom(b, room);
  expect(joined).toMatchObject({ role: 'member', last_read_seq: 2, unread_count: 0, member_count: 2 });
  expect(await service.joinRoom(b, room)).toEqual(joined);
  expect(world.heard()).toEqual(['standing b', 'room member_joined b member', 'user b room_added']);
});

test('who leaves is told to the room, then cut off', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a, [b]);
  await service.leaveRoom(b, room);
  expect(world.heard()).toEqual(['standing b', 'room member_left b', 'revoke b']);
  expect(await refused(service.leaveRoom(b, room))).toBe('not_a_member');
  expect(await refused(service.leaveRoom(a, room))).toBe('conflict');
  expect(await world.counted(room)).toEqual({ member_count: 1, actual: 1, admins: 1 });
});

test('two last admins who leave or step down at once, on two nodes, leave one behind (20 times)', async () => {
  const everybody = await world.users(40);
  for (let i = 0; i < 20; i++) {
    const [a, b] = everybody.slice(2 * i, 2 * i + 2) as Two;
    const room = await world.publicRoom(a, [b]);
    await service.patchMember(a, room, b, { role: 'admin' });
    const outcomes = await Promise.allSettled([
      i % 2 ? service.leaveRoom(a, room) : service.patchMember(a, room, a, { role: 'member' }),
      world.otherNode.leaveRoom(b, room),
    ]);
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(lost.map(({ reason }) => reason.problem.code)).toEqual(['conflict']);
    expect(await world.counted(room)).toMatchObject({ admins: 1 });
  }
});

test('member_count is exact after 50 joins and leaves at once on two nodes', async () => {
  const [a, ...others] = (await world.users(51)) as [UserId, ...UserId[]];
  const room = await world.publicRoom(a, others.slice(0, 20));
  const node = (i: number) => (i % 2 ? service : world.otherNode);
  await Promise.all([
    ...others.slice(0, 20).map((user, i) => node(i).leaveRoom(user, room)),
    ...others
      .slice(20)
      .flatMap((user) => [service.joinRoom(user, room), world.otherNode.joinRoom(user, room)]),
  ]);
  expect(await world.counted(room)).toEqual({ member_count: 31, actual: 31, admins: 1 });
  const joins = world.heard().filter((line) => line.startsWith('room member_joined'));
  expect(joins).toHaveLength(30);
});

test('the list of members goes page by page, the earliest first', async () => {
  const [a, ...others] = (await world.users(6)) as [UserId, ...UserId[]];
  const room = await world.publicRoom(a);
  for (const user of others) await service.joinRoom(user, room);
  const first = await service.listMembers(a, room, null, 4);
  const second = await service.listMembers(a, room, first.next, 4);
  expect([...first.items, ...second.items].map((member) => member.user_id)).toEqual([a, ...others]);
  expect(second.next).toBeNull();
});

describe('adding and removing', () => {
  test('is told to the room and to whom it happens, once', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a);
    const { member, added } = await service.addMember(a, room, { user_id: b, role: 'moderator' });
    expect({ member, added }).toMatchObject({ added: true, member: { user_id: b, role: 'moderator' } });
    expect(await service.addMember(a, room, { user_id: b })).toEqual({ member, added: false });
    expect(world.heard()).toEqual(['standing b', 'room member_joined b moderator', 'user b room_added']);
    await service.removeMember(a, room, b);
    expect(world.heard()).toEqual([
      'standing b',
      'user b removed_from_room',
      'revoke b',
      'room member_left b',
    ]);
    expect(await refused(service.removeMember(a, room, b))).toBe('not_found');
    expect(await refused(service.addMember(a, room, { user_id: newId() }))).toBe('not_found user_id');
    expect(await world.counted(room)).toMatchObject({ member_count: 1, actual: 1 });
  });

  test('removing oneself is leaving', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a, [b]);
    await service.removeMember(b, room, b);
    expect(world.heard()).toEqual(['standing b', 'room member_left b', 'revoke b']);
    expect(await refused(service.removeMember(a, room, a))).toBe('conflict');
  });
});

test('roles and mutes change together or not at all, and promotion to admin ends a mute', async () => {
  const [a, b, c, d] = (await world.users(4)) as Four;
  const room = await world.publicRoom(a, [b, c, d]);
  await service.patchMember(a, room, b, { role: 'moderator' });
  expect(await service.patchMember(b, room, c, { muted_until: LATER })).toMatchObject({ muted_until: LATER });
  expect(world.heard()).toEqual([
    'standing b',
    'room member_updated b moderator',
    'standing c',
    'room member_updated c member muted',
  ]);
  expect(await refused(service.patchMember(b, room, c, { role: 'moderator', muted_until: null }))).toBe(
    'forbidden',
  );
  const both = { role: 'admin', muted_until: LATER } as const;
  expect(await refused(service.patchMember(a, room, d, both))).toBe('forbidden');
  await service.patchMember(b, room, c, { muted_until: LATER });
  await service.patchMember(b, room, c, {});
  expect(world.heard()).toEqual([]);
  expect(await service.patchMember(a, room, c, { role: 'admin' })).toMatchObject({ muted_until: null });
  expect(await refused(service.patchMember(a, room, c, { role: 'member' }))).toBe('forbidden');
});

test('standings come in the order asked, null for rooms and accounts that are not there', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a, [b]);
  const gone = await world.publicRoom(a);
  await service.deleteRoom(a, gone);
  await service.patchMember(a, room, b, { muted_until: LATER });
  const stranger = await world.publicRoom(b);
  const pairs = [
    { room_id: room, user_id: b },
    { room_id: gone, user_id: a },
    { room_id: stranger, user_id: a },
    { room_id: room, user_id: newId<UserId>() },
    { room_id: room, user_id: b },
    { room_id: newId<RoomId>(), user_id: a },
  ];
  const found = await standings(world.db, pairs);
  const muted = { room_type: 'public', role: 'member', muted_until: Date.parse(LATER) };
  expect(found[0]).toMatchObject(muted);
  expect(found[2]).toMatchObject({ room_type: 'public', role: null, muted_until: null });
  expect(found.map((standing) => standing !== null)).toEqual([true, false, true, false, true, false]);
  expect(await standings(world.db, [])).toEqual([]);
});

describe('over REST', () => {
  const call = (caller: UserId, rest: Partial<HttpCall>): HttpCall => ({
    params: {},
    query: null,
    body: null,
    caller: { user_id: caller, username: 'x', sid: newId<SessionId>() },
    address: '::1',
    userAgent: '',
    origin: '',
    over: null,
    ...rest,
  });

  test('adding answers 201, again 200, and cursors lead through a list', async () => {
    const handlers = roomHandlers(service);
    const [a, b] = (await world.users(2)) as Two;
    const params = { roomId: await world.publicRoom(a) };
    const add = call(a, { params, body: { user_id: b } });
    expect(await handlers.add_member(add)).toMatchObject({ status: 201 });
    expect(await handlers.add_member(add)).toMatchObject({ status: 200 });
    const first = (await handlers.list_members(call(a, { params, query: { limit: 1 } }))) as HttpAnswer;
    const after = must(first.page?.next);
    expect(first.page?.has_more).toBe(true);
    const second = (await handlers.list_members(call(a, { params, query: { after } }))) as HttpAnswer;
    expect((second.data as Member[]).map((member) => member.user_id)).toEqual([b]);
    expect(second.page).toEqual({ has_more: false, next: null });
    for (const bad of ['x', after.slice(3), Buffer.from(`1e3.${a}`).toString('base64url')]) {
      expect(await refused(handlers.list_rooms(call(a, { query: { after: bad } })))).toBe(
        'bad_request after',
      );
    }
  });

  test('a mute takes any RFC 3339 time that exists, and null', async () => {
    const handlers = roomHandlers(service);
    const [a, b] = (await world.users(2)) as Two;
    const params = { roomId: await world.publicRoom(a, [b]), userId: b };
    const mute = (muted_until: string | null) =>
      handlers.patch_member(call(a, { params, body: { muted_until } }));
    expect(await mute('2999-01-01T05:30:00+05:30')).toMatchObject({ data: { muted_until: LATER } });
    for (const bad of ['2016-12-31T23:59:60Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-12:00', 'x']) {
      expect(await refused(mute(bad))).toBe('bad_request muted_until');
    }
    expect(await mute(null)).toMatchObject({ data: { muted_until: null } });
  });
});
