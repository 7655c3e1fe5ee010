import { describe, expect, test } from 'vitest';
import type { UserId } from '../../src/protocol/ids.js';
import type { Role, RoomType } from '../../src/protocol/model.js';
import {
  type Actor,
  canAddMember,
  canBan,
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
  canReadModeration,
  canRemoveMember,
  canReport,
  canSeeRoom,
  canSend,
  canUnban,
  canUnreact,
  type Decision,
  isSlowed,
} from '../../src/rooms/rules.js';

/**
 * Who may what, as one table: every role against every action, every rank that is acted upon, and every type of
 * room. In the table `+` is yes.
 */
const NOW = 1_700_000_000_000;
const ME = 'me' as UserId;
const OTHER = 'other' as UserId;
const ADMINS = 2;

const INSIDE = ['admin', 'moderator', 'member', 'muted member'] as const;
const OUTSIDE = ['ex-member', 'stranger', 'banned'] as const;
type Who = (typeof INSIDE)[number] | (typeof OUTSIDE)[number];

function actorOf(who: Who, room_type: RoomType): Actor {
  const muted_until = who === 'muted member' ? NOW + 1 : null;
  const base = { user_id: ME, room_type, muted_until };
  if (who === 'muted member') return { ...base, role: 'member' };
  return { ...base, role: who === 'admin' || who === 'moderator' || who === 'member' ? who : null };
}

const other = (role: Role | null) => ({ user_id: OTHER, role });
const message = (user_id: UserId, author_role: Role | null, deleted = false) => ({
  user_id,
  author_role,
  deleted,
});

/** The asker may be banned only from outside. */
type Rule = (me: Actor, banned: boolean) => Decision;
type Row = readonly [
  action: string,
  rule: Rule,
  admin: string,
  moderator: string,
  member: string,
  muted: string,
];

/** Actions whose answer to outsiders is that of the room: `not_found`, in a public room `not_a_member`. */
const ROWS: readonly Row[] = [
  ['read, receive', (me) => canRead(me), '+', '+', '+', '+'],
  ['list members', (me) => canListMembers(me), '+', '+', '+', '+'],
  ['send', (me) => canSend(me, NOW), '+', '+', '+', 'muted'],
  ['edit one’s own', (me) => canEditMessage(me, message(ME, me.role), NOW), '+', '+', '+', 'muted'],
  ['edit a tombstone', (me) => canEditMessage(me, message(ME, me.role, true), NOW), ...all('not_found')],
  ['edit another’s', (me) => canEditMessage(me, message(OTHER, 'member'), NOW), ...all('forbidden')],
  ['delete one’s own', (me) => canDeleteMessage(me, message(ME, me.role)), '+', '+', '+', '+'],
  ['react', (me) => canReact(me, message(OTHER, 'admin'), NOW), '+', '+', '+', 'muted'],
  ['take a reaction back', (me) => canUnreact(me, message(OTHER, 'admin')), '+', '+', '+', '+'],
  ['pin, unpin', (me) => canPin(me, message(OTHER, 'admin')), '+', '+', 'forbidden', 'forbidden'],
  ['pin a tombstone', (me) => canPin(me, message(OTHER, 'admin', true)), ...all('not_found')],
  ['report another’s', (me) => canReport(me, message(OTHER, 'admin')), '+', '+', '+', '+'],
  ['report one’s own', (me) => canReport(me, message(ME, me.role)), ...all('conflict')],
  ['report a tombstone', (me) => canReport(me, message(OTHER, 'member', true)), ...all('not_found')],
  ['rename the room', (me) => canPatchRoom(me, { name: 'new' }), '+', ...three('forbidden')],
  ['set slow mode', (me) => canPatchRoom(me, { slow_mode_s: 5 }), '+', ...three('forbidden')],
  ['delete the room', (me) => canDeleteRoom(me), '+', ...three('forbidden')],
  ['read bans and audit', (me) => canReadModeration(me), '+', '+', 'forbidden', 'forbidden'],
  ['lift a ban', (me) => canUnban(me, true), '+', '+', 'forbidden', 'forbidden'],
  ['lift no ban', (me) => canUnban(me, false), 'not_found', 'not_found', 'forbidden', 'forbidden'],
  ['add the banned', (me) => canAddMember(me, 'member', true), 'banned', 'banned', 'forbidden', 'forbidden'],
  ['leave', (me) => canLeave(me, ADMINS), '+', '+', '+', '+'],
  ['mute oneself', (me) => canMute(me, { user_id: ME, role: me.role }), ...all('forbidden')],
  ['ban oneself', (me) => canBan(me, { user_id: ME, role: me.role }), ...all('forbidden')],
];

/** Actions on somebody, by the rank of whom they are aimed at. */
const TARGETS = ['stranger', 'member', 'moderator', 'admin'] as const;
type Target = (typeof TARGETS)[number];
const roleOf = (target: Target): Role | null => (target === 'stranger' ? null : target);

interface OnSomebody {
  readonly rule: (me: Actor, target: Role | null) => Decision;
  /** By target: what admin and moderator get; members always get `forbidden`. */
  readonly expected: Readonly<Record<Target, readonly [admin: string, moderator: string]>>;
}

const ACTING = {
  member: ['+', '+'],
  moderator: ['+', 'forbidden'],
  admin: ['forbidden', 'forbidden'],
} as const;

const ON_SOMEBODY: Record<string, OnSomebody> = {
  'delete a message': {
    rule: (me, role) => canDeleteMessage(me, message(OTHER, role)),
    expected: { ...ACTING, stranger: ['+', '+'] },
  },
  ban: { rule: (me, role) => canBan(me, other(role)), expected: { ...ACTING, stranger: ['+', '+'] } },
  mute: {
    rule: (me, role) => canMute(me, other(role)),
    expected: { ...ACTING, stranger: ['not_found', 'not_found'] },
  },
  remove: {
    rule: (me, role) => canRemoveMember(me, other(role), ADMINS),
    expected: { ...ACTING, stranger: ['not_found', 'not_found'] },
  },
  'give the role of moderator': {
    rule: (me, role) => canChangeRole(me, other(role), 'moderator', ADMINS),
    expected: {
      stranger: ['not_found', 'forbidden'],
      member: ['+', 'forbidden'],
      moderator: ['+', 'forbidden'],
      admin: ['forbidden', 'forbidden'],
    },
  },
};

function all(code: string): [string, string, string, string] {
  return [code, code, code, code];
}
function three(code: string): [string, string, string] {
  return [code, code, code];
}
const shown = (decision: Decision) => decision ?? '+';

describe.each(['public', 'private'] as const)('in a %s room', (type) => {
  const outsider = type === 'public' ? 'not_a_member' : 'not_found';

  test.each(ROWS)('%s', (_action, rule, ...expected) => {
    expect(INSIDE.map((who) => shown(rule(actorOf(who, type), false)))).toEqual(expected);
    const outside = OUTSIDE.map((who) => shown(rule(actorOf(who, type), who === 'banned')));
    expect(outside).toEqual(OUTSIDE.map(() => outsider));
  });

  test.each(Object.entries(ON_SOMEBODY))('%s', (_action, { rule, expected }) => {
    for (const target of TARGETS) {
      const answers = INSIDE.map((who) => shown(rule(actorOf(who, type), roleOf(target))));
      expect([target, ...answers]).toEqual([target, ...expected[target], 'forbidden', 'forbidden']);
      for (const who of OUTSIDE) expect(rule(actorOf(who, type), roleOf(target))).toBe(outsider);
    }
  });

  test('see and join', () => {
    const hidden = type === 'private' ? 'not_found' : '+';
    for (const who of INSIDE) {
      expect(shown(canSeeRoom(actorOf(who, type)))).toBe('+');
      expect(shown(canJoin(actorOf(who, type), false))).toBe('+');
    }
    expect(OUTSIDE.map((who) => shown(canSeeRoom(actorOf(who, type))))).toEqual(OUTSIDE.map(() => hidden));
    const joins = OUTSIDE.map((who) => shown(canJoin(actorOf(who, type), who === 'banned')));
    expect(joins).toEqual([hidden, hidden, type === 'private' ? 'not_found' : 'banned']);
  });
});

describe('in a direct room, whose two members are admins', () => {
  const admin = actorOf('admin', 'direct');

  test.each(Object.entries(ON_SOMEBODY))('neither may %s', (_action, { rule }) => {
    expect(['conflict', 'forbidden']).toContain(rule(admin, 'admin'));
  });

  test('nobody is banned, added, slowed down or leaves: the room stays as it is', () => {
    const attempts = [
      canBan(admin, other('admin')),
      canBan(admin, other(null)),
      canAddMember(admin, 'member', false),
      canPatchRoom(admin, { slow_mode_s: 5 }),
      canLeave(admin, ADMINS),
    ];
    expect(attempts).toEqual(attempts.map(() => 'conflict'));
    expect(canUnban(admin, false)).toBe('not_found');
  });

  test('both write, delete their own and report the other’s', () => {
    expect(canSend(admin, NOW)).toBeNull();
    expect(canDeleteMessage(admin, message(ME, 'admin'))).toBeNull();
    expect(canReport(admin, message(OTHER, 'admin'))).toBeNull();
  });

  test('for anybody else it is not there', () => {
    for (const who of OUTSIDE) {
      const me = actorOf(who, 'direct');
      for (const [, rule] of ROWS) expect(rule(me, who === 'banned')).toBe('not_found');
      expect(canJoin(me, who === 'banned')).toBe('not_found');
      expect(canSeeRoom(me)).toBe('not_found');
    }
  });
});

test('slow mode slows plain members, where it is on', () => {
  const slowed = (role: Role | null, slow_mode_s: number) => isSlowed({ role, slow_mode_s });
  expect([slowed('admin', 5), slowed('moderator', 5), slowed('member', 5)]).toEqual([false, false, true]);
  expect(slowed('member', 0)).toBe(false);
});

test('a mute ends by itself at its moment', () => {
  const me = actorOf('muted member', 'public');
  expect([canSend(me, NOW), canSend(me, NOW + 1)]).toEqual(['muted', null]);
  const own = message(ME, 'member');
  expect([canEditMessage(me, own, NOW), canEditMessage(me, own, NOW + 1)]).toEqual(['muted', null]);
});
