import { describe, expect, it, test } from 'vitest';
import { Refusal } from '../../src/protocol/errors.js';
import type { UserId } from '../../src/protocol/ids.js';
import type { Role, RoomType } from '../../src/protocol/model.js';
import {
  type Actor,
  canAddMember,
  canChangeRole,
  canDeleteMessage,
  canDeleteRoom,
  canEditMessage,
  canJoin,
  canLeave,
  canListMembers,
  canMute,
  canPatchRoom,
  canPin,
  canReact,
  canRead,
  canRemoveMember,
  canSeeRoom,
  canSend,
  canUnreact,
  type Decision,
  enforce,
} from '../../src/rooms/rules.js';

const NOW = 1_700_000_000_000;
const ME = 'me' as UserId;
const OTHER = 'other' as UserId;
const ROLES: readonly (Role | null)[] = [null, 'member', 'moderator', 'admin'];
const TYPES: readonly RoomType[] = ['public', 'private', 'direct'];

function actor(role: Role | null, room_type: RoomType = 'private', muted_until: number | null = null): Actor {
  return { user_id: ME, role, room_type, muted_until };
}

const other = (role: Role | null) => ({ user_id: OTHER, role });
const myself = (role: Role | null) => ({ user_id: ME, role });

/** Answers of a rule for an asker who is a stranger, a member, a moderator, an admin, in this order. */
type ByRole = readonly [Decision, Decision, Decision, Decision];

function expectByRole(rule: (actor: Actor) => Decision, type: RoomType, expected: ByRole): void {
  expect(ROLES.map((role) => rule(actor(role, type)))).toEqual(expected);
}

describe('a private or direct room does not exist for a stranger, whatever he tries', () => {
  const attempts: Record<string, (actor: Actor) => Decision> = {
    see: canSeeRoom,
    read: canRead,
    'list members': canListMembers,
    send: (me) => canSend(me, NOW),
    'edit a message': (me) => canEditMessage(me, { user_id: ME, deleted: false }, NOW),
    'delete a message': (me) => canDeleteMessage(me, { user_id: ME, author_role: null }),
    react: (me) => canReact(me, { deleted: false }, NOW),
    'take a reaction back': (me) => canUnreact(me, { deleted: false }),
    pin: (me) => canPin(me, { deleted: false }),
    patch: (me) => canPatchRoom(me, { name: 'new' }),
    delete: canDeleteRoom,
    join: (me) => canJoin(me, true),
    add: (me) => canAddMember(me, 'member', true),
    'change a role': (me) => canChangeRole(me, other('member'), 'moderator', 1),
    mute: (me) => canMute(me, other('member')),
    remove: (me) => canRemoveMember(me, other('member'), 1),
    'remove himself': (me) => canRemoveMember(me, myself(null), 1),
    leave: (me) => canLeave(me, 1),
  };
  for (const [name, attempt] of Object.entries(attempts)) {
    it(name, () => {
      expect(attempt(actor(null, 'private'))).toBe('not_found');
      expect(attempt(actor(null, 'direct'))).toBe('not_found');
    });
    if (name === 'see' || name === 'join') continue;
    it(`${name}, and in a public room only a member may`, () => {
      expect(attempt(actor(null, 'public'))).toBe('not_a_member');
    });
  }
});

test('anybody sees and may join a public room; a member may ask to join again anywhere', () => {
  expectByRole(canSeeRoom, 'public', [null, null, null, null]);
  expectByRole((me) => canJoin(me, false), 'public', [null, null, null, null]);
  expectByRole((me) => canJoin(me, false), 'private', ['not_found', null, null, null]);
  expectByRole((me) => canJoin(me, false), 'direct', ['not_found', null, null, null]);
});

test('every member reads, lists members and sends', () => {
  for (const type of TYPES) {
    for (const role of ROLES.slice(1)) {
      expect(canRead(actor(role, type))).toBeNull();
      expect(canListMembers(actor(role, type))).toBeNull();
      expect(canSend(actor(role, type), NOW)).toBeNull();
    }
  }
});

test('a mute holds until its moment, for sends, edits and reactions, not for taking back one’s own', () => {
  const mine = { user_id: ME, deleted: false, author_role: 'member' as const };
  for (const [muted_until, expected] of [
    [null, null],
    [NOW - 1, null],
    [NOW, null],
    [NOW + 1, 'muted'],
  ] as const) {
    const me = actor('member', 'private', muted_until);
    expect(canSend(me, NOW)).toBe(expected);
    expect(canEditMessage(me, mine, NOW)).toBe(expected);
    expect(canReact(me, mine, NOW)).toBe(expected);
    expect(canDeleteMessage(me, mine)).toBeNull();
    expect(canUnreact(me, mine)).toBeNull();
    expect(canRead(me)).toBeNull();
  }
});

test('only its author edits a message, and nobody a tombstone', () => {
  const edit = (user_id: UserId, deleted: boolean) => (me: Actor) =>
    canEditMessage(me, { user_id, deleted }, NOW);
  expectByRole(edit(ME, false), 'private', ['not_found', null, null, null]);
  expectByRole(edit(OTHER, false), 'private', ['not_found', 'forbidden', 'forbidden', 'forbidden']);
  expectByRole(edit(ME, true), 'private', ['not_found', 'not_found', 'not_found', 'not_found']);
});

test('every member reacts, moderators and admins pin, and nobody does either to a tombstone', () => {
  const there = { deleted: false };
  const gone = { deleted: true };
  for (const [type, stranger] of [
    ['public', 'not_a_member'],
    ['private', 'not_found'],
  ] as const) {
    expectByRole((me) => canReact(me, there, NOW), type, [stranger, null, null, null]);
    expectByRole((me) => canUnreact(me, there), type, [stranger, null, null, null]);
    expectByRole((me) => canPin(me, there), type, [stranger, 'forbidden', null, null]);
    const refused: ByRole = [stranger, 'not_found', 'not_found', 'not_found'];
    expectByRole((me) => canReact(me, gone, NOW), type, refused);
    expectByRole((me) => canUnreact(me, gone), type, refused);
    expectByRole((me) => canPin(me, gone), type, refused);
  }
  expect(canPin(actor('admin', 'direct'), there)).toBeNull();
  expect(canPin(actor('moderator', 'private', NOW + 1), there)).toBeNull(); // a pin says nothing
});

/** Asker × subject for everything that is "acting on somebody": who ranks at least moderator and higher. */
const ACTING: readonly (readonly [subject: Role, expected: ByRole])[] = [
  ['member', ['not_found', 'forbidden', null, null]],
  ['moderator', ['not_found', 'forbidden', 'forbidden', null]],
  ['admin', ['not_found', 'forbidden', 'forbidden', 'forbidden']],
];

describe('nobody acts on somebody of their own rank or above', () => {
  test.each(ACTING)('on a %s', (subject, expected) => {
    const deletes = (me: Actor) => canDeleteMessage(me, { user_id: OTHER, author_role: subject });
    expectByRole(deletes, 'private', expected);
    expectByRole((me) => canMute(me, other(subject)), 'private', expected);
    expectByRole((me) => canRemoveMember(me, other(subject), 2), 'private', expected);
    const inPublic: ByRole = ['not_a_member', expected[1], expected[2], expected[3]];
    expectByRole(deletes, 'public', inPublic);
  });

  test('nobody mutes or unmutes himself', () => {
    for (const role of ROLES.slice(1)) expect(canMute(actor(role), myself(role))).toBe('forbidden');
  });
});

test('a former member as author has no rank, and his own messages are out of his reach', () => {
  const orphaned = { user_id: OTHER, author_role: null };
  expectByRole((me) => canDeleteMessage(me, orphaned), 'public', ['not_a_member', 'forbidden', null, null]);
  expect(canDeleteMessage(actor(null, 'public'), { user_id: ME, author_role: null })).toBe('not_a_member');
});

test('whoever is no member can be neither muted, removed nor promoted', () => {
  const none = other(null);
  expectByRole((me) => canMute(me, none), 'private', ['not_found', 'forbidden', 'not_found', 'not_found']);
  const remove = (me: Actor) => canRemoveMember(me, none, 1);
  expectByRole(remove, 'private', ['not_found', 'forbidden', 'not_found', 'not_found']);
  const promote = (me: Actor) => canChangeRole(me, none, 'admin', 1);
  expectByRole(promote, 'private', ['not_found', 'forbidden', 'forbidden', 'not_found']);
});

test('admins change and delete the room', () => {
  for (const type of ['public', 'private'] as const) {
    const stranger = type === 'public' ? 'not_a_member' : 'not_found';
    const expected: ByRole = [stranger, 'forbidden', 'forbidden', null];
    expectByRole((me) => canPatchRoom(me, { name: 'new' }), type, expected);
    expectByRole(canDeleteRoom, type, expected);
  }
});

test.each([
  ['member', ['not_found', 'forbidden', null, null]],
  ['moderator', ['not_found', 'forbidden', 'forbidden', null]],
  ['admin', ['not_found', 'forbidden', 'forbidden', null]],
] as const)('moderators add to roles below their own, admins to any: a %s', (role, expected) => {
  expectByRole((me) => canAddMember(me, role, false), 'private', expected);
});

describe('only admins change roles, and not those of admins', () => {
  test.each([
    ['member', ['not_found', 'forbidden', 'forbidden', null]],
    ['moderator', ['not_found', 'forbidden', 'forbidden', null]],
    ['admin', ['not_found', 'forbidden', 'forbidden', 'forbidden']],
  ] as const)('of a %s', (subject, expected) => {
    for (const role of ['member', 'moderator', 'admin'] as const) {
      expectByRole((me) => canChangeRole(me, other(subject), role, 2), 'private', expected);
    }
  });

  test('an admin steps down unless he is the last', () => {
    const admin = actor('admin');
    expect(canChangeRole(admin, myself('admin'), 'member', 2)).toBeNull();
    expect(canChangeRole(admin, myself('admin'), 'moderator', 1)).toBe('conflict');
    expect(canChangeRole(admin, myself('admin'), 'admin', 1)).toBeNull();
  });

  test('nobody promotes himself', () => {
    expect(canChangeRole(actor('member'), myself('member'), 'moderator', 1)).toBe('forbidden');
    expect(canChangeRole(actor('moderator'), myself('moderator'), 'admin', 1)).toBe('forbidden');
  });
});

test('anyone leaves but the last admin; removing oneself is leaving', () => {
  for (const rule of [
    canLeave,
    (me: Actor, admins: number) => canRemoveMember(me, myself(me.role), admins),
  ]) {
    expectByRole((me) => rule(me, 1), 'private', ['not_found', null, null, 'conflict']);
    expectByRole((me) => rule(me, 2), 'private', ['not_found', null, null, null]);
    expectByRole((me) => rule(me, 2), 'public', ['not_a_member', null, null, null]);
  }
});

test('a direct room keeps its two admins and has no name, but can be described and deleted', () => {
  const admin = actor('admin', 'direct');
  expect(canLeave(admin, 2)).toBe('conflict');
  expect(canRemoveMember(admin, myself('admin'), 2)).toBe('conflict');
  expect(canRemoveMember(admin, other('admin'), 2)).toBe('conflict');
  expect(canAddMember(admin, 'member', false)).toBe('conflict');
  expect(canChangeRole(admin, myself('admin'), 'member', 2)).toBe('conflict');
  expect(canMute(admin, other('admin'))).toBe('forbidden');
  expect(canPatchRoom(admin, { name: 'new' })).toBe('conflict');
  expect(canPatchRoom(admin, {})).toBeNull();
  expect(canDeleteRoom(admin)).toBeNull();
});

test('enforce throws the decision, with the sentence for conflicts only', () => {
  expect(() => enforce(null, 'why')).not.toThrow();
  expect(problemOf('conflict')).toMatchObject({ code: 'conflict', error: 'why' });
  expect(problemOf('forbidden')).toMatchObject({
    code: 'forbidden',
    error: 'Your role does not allow this.',
  });
});

function problemOf(decision: Decision): unknown {
  try {
    enforce(decision, 'why');
  } catch (error) {
    if (error instanceof Refusal) return error.problem;
    throw error;
  }
  return null;
}
