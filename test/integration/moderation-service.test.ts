import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { AuditEntry } from '../../src/protocol/model.js';
import type { ModerationService } from '../../src/rooms/moderation-service.js';
import type { RoomService } from '../../src/rooms/room-service.js';
import type { Keyset } from '../../src/rooms/room-store-port.js';
import { messageLog } from '../../src/store/message-log.js';
import { openRoomWorld, type RoomWorld, refused } from '../helpers/room-world.js';

let world: RoomWorld;
let service: RoomService;
let moderation: ModerationService;

beforeAll(async () => {
  world = await openRoomWorld();
  ({ service, moderation } = world);
});

afterAll(() => world.close());

type Two = [UserId, UserId];
type Three = [UserId, UserId, UserId];
type Four = [UserId, UserId, UserId, UserId];
const LATER = '2999-01-01T00:00:00.000Z';

async function audit(caller: UserId, room: RoomId): Promise<readonly AuditEntry[]> {
  return (await moderation.listAudit(caller, room, null, 100)).items;
}

/** The audit log, oldest first: what, by whom, to whom. */
async function story(caller: UserId, room: RoomId) {
  const entries = (await audit(caller, room)).toReversed();
  return entries.map(({ action, actor_id, target_user_id, details }) => [
    action,
    actor_id,
    target_user_id,
    details,
  ]);
}

async function newestMessage(room: RoomId): Promise<MessageId> {
  const [row] = await world.db<{ id: MessageId }[]>`
    select id from messages where room_id = ${room} order by seq_no desc limit 1`;
  return row?.id ?? newId();
}

describe('a ban', () => {
  test('removes, is told to the banned and then to the room, and keeps out until it is lifted', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a, [b]);
    const ban = await moderation.banUser(a, room, b, 'spam');
    expect(ban).toMatchObject({ user_id: b, banned_by: a, reason: 'spam' });
    expect(world.heard()).toEqual([
      'standing b',
      'user b removed_from_room',
      'revoke b',
      'room member_left b',
    ]);
    expect(await world.counted(room)).toEqual({ member_count: 1, actual: 1, admins: 1 });
    expect(await refused(service.joinRoom(b, room))).toBe('banned');
    expect(await refused(service.addMember(a, room, { user_id: b }))).toBe('banned user_id');
    await moderation.unbanUser(a, room, b);
    expect(await refused(moderation.unbanUser(a, room, b))).toBe('not_found');
    expect(await service.joinRoom(b, room)).toMatchObject({ role: 'member' });
  });

  test('asked for again is the ban there is, its reason changed where one is given', async () => {
    const [a, b, c] = (await world.users(3)) as Three;
    const room = await world.publicRoom(a, [c]);
    await service.patchMember(a, room, c, { role: 'moderator' });
    const first = await moderation.banUser(a, room, b, null);
    expect(first.reason).toBeNull();
    expect(await moderation.banUser(c, room, b, null)).toEqual(first);
    const second = await moderation.banUser(c, room, b, 'spam');
    expect(second).toEqual({ ...first, reason: 'spam' });
    expect(await moderation.banUser(a, room, b, null)).toEqual(second);
    expect((await moderation.listBans(a, room, null, 10)).items).toEqual([second]);
    const bans = (await story(a, room)).filter(([action]) => action === 'member_banned');
    expect(bans).toEqual([
      ['member_banned', a, b, { reason: null }],
      ['member_banned', c, b, { reason: 'spam' }],
    ]);
    expect(await refused(moderation.banUser(a, room, newId(), null))).toBe('not_found');
  });

  test('is listed page by page, the latest first', async () => {
    const [a, ...others] = (await world.users(6)) as [UserId, ...UserId[]];
    const room = await world.publicRoom(a);
    for (const user of others) await moderation.banUser(a, room, user, null);
    const first = await moderation.listBans(a, room, null, 3);
    const second = await moderation.listBans(a, room, first.next, 3);
    const listed = [...first.items, ...second.items].map(({ user_id }) => user_id);
    expect(listed).toEqual(others.toReversed());
    expect(second.next).toBeNull();
  });

  test('holds among 400 joins at once, each decided by himself and told once', async () => {
    const [a, ...others] = (await world.users(401)) as [UserId, ...UserId[]];
    const room = await world.publicRoom(a, others.slice(0, 10));
    const banned = others.slice(10, 30);
    for (const user of banned) await moderation.banUser(a, room, user, null);
    const gone = others.slice(30, 35);
    await world.db`update users set deleted_at = now() where id = any (${gone}::uuid[])`;
    world.heard();
    const twice = others.slice(100, 110);
    const outcomes = await Promise.all(
      [...others, ...twice].map((user) =>
        service.joinRoom(user, room).then(
          ({ role }) => role,
          (error: unknown) => refused(Promise.reject(error)),
        ),
      ),
    );
    const expected = others.map((user) => {
      if (banned.includes(user)) return 'banned';
      return gone.includes(user) ? 'unauthenticated' : 'member';
    });
    expect(outcomes).toEqual([...expected, ...twice.map(() => 'member')]);
    const members = 401 - banned.length - gone.length;
    expect(await world.counted(room)).toEqual({ member_count: members, actual: members, admins: 1 });
    const joins = world.heard().filter((line) => line.startsWith('room member_joined'));
    expect(joins).toHaveLength(members - 11);
  });

  test('that races a join or an adding, on two nodes, never leaves a banned member (100 rounds)', async () => {
    const [a, ...others] = (await world.users(101)) as [UserId, ...UserId[]];
    const room = await world.publicRoom(a);
    let joined = 0;
    for (const [i, user] of others.entries()) {
      const enter =
        i % 2 ? world.otherNode.joinRoom(user, room) : service.addMember(a, room, { user_id: user });
      const ban =
        i % 3 ? moderation.banUser(a, room, user, null) : world.otherModeration.banUser(a, room, user, null);
      const [entered, banned] = await Promise.allSettled([enter, ban]);
      expect(banned.status).toBe('fulfilled');
      if (entered.status === 'fulfilled') joined++;
      else expect(['banned', 'not_found']).toContain(entered.reason.problem.code);
    }
    expect(joined).toBeGreaterThan(0); // else nothing raced
    expect(await world.counted(room)).toEqual({ member_count: 1, actual: 1, admins: 1 });
    const banned = (await audit(a, room)).filter(({ action }) => action === 'member_banned');
    expect(new Set(banned.map(({ target_user_id }) => target_user_id)).size).toBe(banned.length);
  });
});

describe('the audit log', () => {
  test('tells everything that was done to others, once each, and nothing that changed nothing', async () => {
    const [a, b, c, d] = (await world.users(4)) as Four;
    const room = await world.publicRoom(a);
    for (const user_id of [b, c]) await service.addMember(a, room, { user_id });
    await service.addMember(a, room, { user_id: c });
    await service.joinRoom(d, room);
    await service.patchMember(a, room, b, { role: 'moderator' });
    await service.patchMember(a, room, b, { role: 'moderator' });
    await service.patchMember(b, room, c, { muted_until: LATER });
    await service.patchMember(b, room, c, { muted_until: LATER });
    await service.patchMember(b, room, c, { muted_until: null });
    await service.patchRoom(a, room, { name: 'renamed', slow_mode_s: 5, description: null });
    await service.patchRoom(a, room, { slow_mode_s: 5 });
    await service.removeMember(b, room, c);
    await service.leaveRoom(d, room);
    await moderation.banUser(b, room, d, 'spam');
    await moderation.unbanUser(a, room, d);
    await service.patchMember(a, room, b, { muted_until: LATER });
    await service.patchMember(a, room, b, { role: 'admin' });
    expect(await story(a, room)).toEqual([
      ['member_added', a, b, { role: 'member' }],
      ['member_added', a, c, { role: 'member' }],
      ['role_changed', a, b, { from: 'member', to: 'moderator' }],
      ['member_muted', b, c, { muted_until: LATER }],
      ['member_unmuted', b, c, { muted_until: null }],
      [
        'room_updated',
        a,
        null,
        { name: { from: 'general', to: 'renamed' }, slow_mode_s: { from: 0, to: 5 } },
      ],
      ['member_removed', b, c, {}],
      ['member_banned', b, d, { reason: 'spam' }],
      ['member_unbanned', a, d, {}],
      ['member_muted', a, b, { muted_until: LATER }],
      ['role_changed', a, b, { from: 'moderator', to: 'admin' }],
      ['member_unmuted', a, b, { muted_until: null }],
    ]);
  });

  test('goes page by page, the newest first, also where entries share a moment', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a, [b]);
    for (let n = 1; n <= 7; n++) await service.patchRoom(a, room, { slow_mode_s: n });
    await world.db`update audit_log set created_at = date_trunc('second', created_at) where room_id = ${room}`;
    const whole = await audit(a, room);
    const found: AuditEntry[] = [];
    let after: Keyset | null = null;
    do {
      const page = await moderation.listAudit(a, room, after, 2);
      found.push(...page.items);
      after = page.next;
    } while (after !== null);
    expect(found).toEqual(whole);
    expect(new Set(found.map(({ id }) => id)).size).toBe(7);
  });

  test('is written with the change or not at all', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a, [b]);
    await world.db`alter table audit_log rename to audit_log_away`;
    await expect(service.removeMember(a, room, b)).rejects.toThrow();
    await expect(moderation.banUser(a, room, b, null)).rejects.toThrow();
    await world.db`alter table audit_log_away rename to audit_log`;
    expect(await world.counted(room)).toMatchObject({ member_count: 2, actual: 2 });
    expect((await moderation.listBans(a, room, null, 10)).items).toEqual([]);
    expect(world.heard()).toEqual([]);
    await service.removeMember(a, room, b);
    expect(await story(a, room)).toEqual([['member_removed', a, b, {}]]);
  });

  test('tells of a deletion by another than the author, once, however often and at once it is asked for', async () => {
    const [a, b] = (await world.users(2)) as Two;
    const room = await world.publicRoom(a, [b]);
    await world.say(room, b, ['theirs']);
    const theirs = await newestMessage(room);
    await world.say(room, b, ['own']);
    const own = await newestMessage(room);
    const log = messageLog(world.db);
    const asked = Array.from({ length: 5 }, () =>
      log.delete([{ id: theirs, room_id: room, user_id: a }], new Date()),
    );
    await Promise.all(asked);
    await log.delete([{ id: own, room_id: room, user_id: b }], new Date());
    const entries = await audit(a, room);
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ action: 'message_deleted', actor_id: a, target_user_id: b });
    expect(entries[0]).toMatchObject({ target_message_id: theirs, details: {} });
  });
});

describe('a report', () => {
  test('is one for each reporter, told once for each reason', async () => {
    const [a, b, c] = (await world.users(3)) as Three;
    const room = await world.publicRoom(a, [b, c]);
    await world.say(room, b, ['bad']);
    const id = await newestMessage(room);
    await Promise.all(Array.from({ length: 5 }, () => moderation.reportMessage(c, id, 'rude')));
    await moderation.reportMessage(a, id, 'rude');
    await moderation.reportMessage(c, id, 'spam');
    const told = (await story(a, room)).map(([action, by, author, details]) => [action, by, author, details]);
    expect(told).toEqual([
      ['message_reported', c, b, { reason: 'rude' }],
      ['message_reported', a, b, { reason: 'rude' }],
      ['message_reported', c, b, { reason: 'spam' }],
    ]);
    const rows =
      await world.db`select reporter, reason from reports where message_id = ${id} order by reason`;
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { reporter: a, reason: 'rude' },
      { reporter: c, reason: 'spam' },
    ]);
  });

  test('of a tombstone, of one’s own or of what one may not see is refused', async () => {
    const [a, b, c] = (await world.users(3)) as Three;
    const room = await world.publicRoom(a, [b]);
    await world.say(room, b, ['text']);
    const id = await newestMessage(room);
    expect(await refused(moderation.reportMessage(b, id, 'x'))).toBe('conflict');
    expect(await refused(moderation.reportMessage(c, id, 'x'))).toBe('not_a_member');
    expect(await refused(moderation.reportMessage(a, newId(), 'x'))).toBe('not_found');
    await messageLog(world.db).delete([{ id, room_id: room, user_id: b }], new Date());
    expect(await refused(moderation.reportMessage(a, id, 'x'))).toBe('not_found');
  });
});

test('a mute outlasts leaving and joining, but not being made an admin', async () => {
  const [a, b] = (await world.users(2)) as Two;
  const room = await world.publicRoom(a, [b]);
  await service.patchMember(a, room, b, { muted_until: LATER });
  await service.leaveRoom(b, room);
  await service.joinRoom(b, room);
  const [mine] = (await service.listMembers(a, room, null, 10)).items.filter(({ user_id }) => user_id === b);
  expect(mine).toMatchObject({ muted_until: LATER });
  await service.leaveRoom(b, room);
  const { member } = await service.addMember(a, room, { user_id: b, role: 'admin' });
  expect(member.muted_until).toBeNull();
  await service.leaveRoom(b, room);
  await service.joinRoom(b, room);
  expect((await service.listMembers(a, room, null, 10)).items.at(-1)).toMatchObject({ muted_until: null });
});
