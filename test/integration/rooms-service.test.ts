import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { MyRoom } from '../../src/protocol/model.js';
import type { RoomService } from '../../src/rooms/room-service.js';
import type { Keyset } from '../../src/rooms/room-store-port.js';
import { openDatabase } from '../../src/store/client.js';
import { roomStore } from '../../src/store/room-store.js';
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
type Three = [UserId, UserId, UserId];

describe('creating a room', () => {
  test('makes the creator admin and tells all of its members', async () => {
    const [a, b, c] = (await world.users(3)) as Three;
    const made = await service.createRoom(a, { type: 'private', name: 'team', member_ids: [b, c, b, a] });
    expect(made).toMatchObject({
      created: true,
      room: { name: 'team', member_count: 3, created_by: a, head_seq: 0 },
    });
    expect(world.heard()).toEqual(
      ['a', 'b', 'c'].flatMap((name) => [`standing ${name}`, `user ${name} room_added`]),
    );
    const { items } = await service.listMembers(a, made.room.id as RoomId, null, 10);
    expect(new Map(items.map((member) => [member.user_id, member.role]))).toEqual(
      new Map([
        [a, 'admin'],
        [b, 'member'],
        [c, 'member'],
      ]),
    );
  });

  test('names the field of what does not fit', async () => {
    const [a, b, c] = (await world.users(3)) as Three;
    const attempt = (body: Parameters<RoomService['createRoom']>[1]) => refused(service.createRoom(a, body));
    expect(await attempt({ type: 'public', name: 'abc', member_ids: [newId()] })).toBe(
      'not_found member_ids',
    );
    expect(await attempt({ type: 'direct', member_ids: [newId()] })).toBe('not_found member_ids');
    expect(await attempt({ type: 'public' })).toBe('bad_request name');
    expect(await attempt({ type: 'direct', name: 'abc', member_ids: [b] })).toBe('bad_request name');
    for (const member_ids of [[], [a], [b, c]]) {
      expect(await attempt({ type: 'direct', member_ids })).toBe('bad_request member_ids');
    }
    expect(world.heard()).toEqual([]);
  });

  test('a pair that asks at the same moment, on two nodes, has one direct room (50 pairs)', async () => {
    const everybody = await world.users(100);
    for (let i = 0; i < 50; i++) {
      const [a, b] = everybody.slice(2 * i, 2 * i + 2) as Two;
      const [one, two] = await Promise.all([
        service.createRoom(a, { type: 'direct', member_ids: [b] }),
        world.otherNode.createRoom(b, { type: 'direct', member_ids: [a] }),
      ]);
      expect(one.room.id).toBe(two.room.id);
      expect([one.created, two.created].sort()).toEqual([false, true]);
      expect(await world.counted(one.room.id as RoomId)).toEqual({ member_count: 2, actual: 2, admins: 2 });
    }
    expect(world.heard()).toHaveLength(200); // standing and room_added, once a member
  });

  test('a pair may open a new direct room once theirs is deleted', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const first = await service.createRoom(a, { type: 'direct', member_ids: [b] });
    expect(await refused(service.leaveRoom(b, first.room.id as RoomId))).toBe('conflict');
    await service.deleteRoom(b, first.room.id as RoomId);
    const second = await service.createRoom(a, { type: 'direct', member_ids: [b] });
    expect(second.created).toBe(true);
    expect(second.room.id).not.toBe(first.room.id);
  });
});

describe('a member’s rooms', () => {
  test('come most recently active first, page by page, with unread, mentions and the last message', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const rooms = await Promise.all([1, 2, 3, 4, 5].map(() => world.publicRoom(a, [b])));
    const order = [3, 0, 4, 1, 2].map((i) => must(rooms[i]));
    for (const room of order.slice(1).reverse()) await world.say(room, a, ['x']);
    const top = must(order[0]);
    await world.say(top, a, ['one']);
    await world.say(top, a, ['two', 'three'], b);
    await world.db`update room_members set last_read_seq = 2 where room_id = ${top} and user_id = ${b}`;
    const seen: MyRoom[] = [];
    let after: Keyset | null = null;
    do {
      const page = await service.listRooms(b, after, 2);
      seen.push(...page.items);
      after = page.next;
    } while (after !== null);
    expect(seen.map((room) => room.id)).toEqual(order);
    expect(seen[0]).toMatchObject({ role: 'member', last_read_seq: 2, unread_count: 1, mention_count: 1 });
    expect(seen[0]?.last_message).toMatchObject({ content: 'three', seq_no: 3, mentions: [b], metadata: {} });
    expect(await service.getRoom(b, top)).toEqual(seen[0]);
    expect(await service.getRoom(a, top)).toMatchObject({ unread_count: 3, mention_count: 0 });
  });

  test('a tombstone at the head shows no content and mentions nobody', async () => {
    const [a] = (await world.users(1)) as [UserId];
    const room = await world.publicRoom(a);
    expect(await service.getRoom(a, room)).toMatchObject({ last_message: null, unread_count: 0 });
    await world.say(room, a, ['secret'], a);
    await world.db`update messages set deleted_at = now() where room_id = ${room}`;
    const mine = (await service.getRoom(a, room)) as MyRoom;
    expect(mine).toMatchObject({ mention_count: 0, last_message: { content: '', mentions: [] } });
    expect(mine.last_message?.deleted_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});

test('a stranger sees a public room’s details, and of any other nothing', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const open = await world.publicRoom(a);
  const { room: hidden } = await service.createRoom(a, { type: 'private', name: 'hidden' });
  const details = (await service.getRoom(b, open)) as object;
  expect(Object.keys(details)).not.toContain('role');
  expect(await refused(service.listMembers(b, open, null, 10))).toBe('not_a_member');
  const id = hidden.id as RoomId;
  for (const attempt of [
    () => service.getRoom(b, id),
    () => service.getRoom(b, newId()),
    () => service.joinRoom(b, id),
    () => service.leaveRoom(b, id),
    () => service.listMembers(b, id, null, 10),
    () => service.patchRoom(b, id, {}),
    () => service.deleteRoom(b, id),
    () => service.addMember(b, id, { user_id: b }),
    () => service.patchMember(b, id, a, {}),
    () => service.removeMember(b, id, a),
  ]) {
    expect(await refused(attempt())).toBe('not_found');
  }
});

test('admins change the details; what changes nothing is announced to nobody', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a, [b]);
  const before = await service.patchRoom(a, room, {});
  expect(await service.patchRoom(a, room, { name: 'general', description: null })).toEqual(before);
  expect(world.heard()).toEqual([]);
  const after = await service.patchRoom(a, room, { name: 'renamed', description: 'about' });
  expect(after).toMatchObject({ name: 'renamed', description: 'about' });
  expect(after.updated_at > before.updated_at).toBe(true);
  expect(await service.patchRoom(a, room, { description: null })).toMatchObject({ description: null });
  expect(await refused(service.patchRoom(b, room, { name: 'mine' }))).toBe('forbidden');
  expect(world.heard()).toEqual(['room room_updated', 'room room_updated']);
});

test('a deleted room is gone for everybody, and its log is closed', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a, [b]);
  expect(await refused(service.deleteRoom(b, room))).toBe('forbidden');
  await service.deleteRoom(a, room);
  expect(world.heard()).toEqual(['room room_deleted', 'revoke all']);
  for (const attempt of [
    () => service.getRoom(a, room),
    () => service.joinRoom(b, room),
    () => service.deleteRoom(a, room),
  ]) {
    expect(await refused(attempt())).toBe('not_found');
  }
  expect((await service.listRooms(a, null, 10)).items).toEqual([]);
  expect(await world.db`select closed from room_heads where room_id = ${room}`).toEqual([{ closed: true }]);
});

test('a database that is away is StoreUnavailable, within 4 s also for those who wait their turn', async () => {
  const away = openDatabase('postgres://parley@127.0.0.1:1/parley', 2, 'rooms-test-away');
  const store = roomStore(away);
  const room = newId<RoomId>();
  const started = performance.now();
  const attempts = [
    ...Array.from({ length: 20 }, () => store.changeRoom(room, async () => 'never')),
    store.roomView(room, newId<UserId>()),
    store.standings([{ room_id: room, user_id: newId<UserId>() }]),
  ];
  for (const outcome of await Promise.allSettled(attempts)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'StoreUnavailable' } });
  }
  expect(performance.now() - started).toBeLessThan(4_000);
  await away.end({ timeout: 0 });
});
