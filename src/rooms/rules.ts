import { type ErrorCode, Refusal } from '../protocol/errors.js';
import type { UserId } from '../protocol/ids.js';
import type { Role } from '../protocol/model.js';
import type { MessageTarget, Standing } from './ports.js';

/**
 * Who may what (PROTOCOL §2, last paragraph). Every rule is pure: it looks at standings and answers with the
 * code of the refusal, or null for "yes". All start with what the asker may know: to a stranger a private or
 * direct room is `not_found` in every respect, so that no answer tells that it exists.
 *
 * Conflicts say that the room's state stands in the way, not the asker's rank: no promotion would help. A
 * direct room's two memberships are such a state: both are admins for good, nobody comes or goes (§2).
 */
export type Decision = ErrorCode | null;

/** The part of a standing that decides. A ban isn't in it: whoever is banned is no member, and only joining asks. */
export type RoomStanding = Pick<Standing, 'role' | 'room_type' | 'muted_until'>;

/** Who asks, with what they are in the room. */
export interface Actor extends RoomStanding {
  readonly user_id: UserId;
}

/** Who is acted upon. `role` is null for somebody who isn't a member. */
export interface Subject {
  readonly user_id: UserId;
  readonly role: Role | null;
}

const RANK = { member: 1, moderator: 2, admin: 3 } as const satisfies Record<Role, number>;

/** A former member or a stranger ranks below everybody. */
function rankOf(role: Role | null): number {
  return role === null ? 0 : RANK[role];
}

/** "Nobody acts on somebody of their own rank or above", and plain members act on nobody. */
function moderates(actor: RoomStanding, subject: Role | null): Decision {
  const allowed = rankOf(actor.role) >= RANK.moderator && rankOf(actor.role) > rankOf(subject);
  return allowed ? null : 'forbidden';
}

/** The room's own details (`Room`): a public room's are for all. */
export function canSeeRoom(standing: RoomStanding): Decision {
  return standing.role === null && standing.room_type !== 'public' ? 'not_found' : null;
}

/** Messages, and receiving the room's events: members only. */
export function canRead(standing: RoomStanding): Decision {
  return canSeeRoom(standing) ?? (standing.role === null ? 'not_a_member' : null);
}

/**
 * The list of members: members only, in public rooms too. It holds read watermarks and mutes, which are
 * nobody else's business; how many members there are stands in the room's details. Who wants it joins.
 */
export function canListMembers(standing: RoomStanding): Decision {
  return canRead(standing);
}

/** Sending: any member who isn't muted at `nowMs` (epoch milliseconds). */
export function canSend(standing: RoomStanding, nowMs: number): Decision {
  return canRead(standing) ?? (isMuted(standing, nowMs) ? 'muted' : null);
}

/** Slow mode: plain members wait between two messages, who moderates doesn't. */
export function isSlowed(standing: Pick<Standing, 'role' | 'slow_mode_s'>): boolean {
  return standing.slow_mode_s > 0 && rankOf(standing.role) < RANK.moderator;
}

/** Whether a mute holds at `nowMs` (epoch milliseconds): it ends by itself. */
export function isMuted(standing: Pick<Standing, 'muted_until'>, nowMs: number): boolean {
  return standing.muted_until !== null && standing.muted_until > nowMs;
}

/** Editing: the author alone, and not while muted (else an edit would be a way to speak). Tombstones are gone. */
export function canEditMessage(
  actor: Actor,
  target: Pick<MessageTarget, 'user_id' | 'deleted'>,
  nowMs: number,
): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  if (target.deleted) return 'not_found';
  if (target.user_id !== actor.user_id) return 'forbidden';
  return isMuted(actor, nowMs) ? 'muted' : null;
}

/**
 * Deleting: the author, muted or not; else whoever may act on the author. An author who is no member any
 * more has no rank. A tombstone is not refused here: deleting again changes nothing and is answered alike.
 */
export function canDeleteMessage(
  actor: Actor,
  target: Pick<MessageTarget, 'user_id' | 'author_role'>,
): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  return target.user_id === actor.user_id ? null : moderates(actor, target.author_role);
}

/** Reacting is speaking: not while muted. A tombstone takes no reactions. */
export function canReact(actor: Actor, target: Pick<MessageTarget, 'deleted'>, nowMs: number): Decision {
  return canUnreact(actor, target) ?? (isMuted(actor, nowMs) ? 'muted' : null);
}

/** Taking back one's own reaction, muted or not. */
export function canUnreact(actor: RoomStanding, target: Pick<MessageTarget, 'deleted'>): Decision {
  return canRead(actor) ?? (target.deleted ? 'not_found' : null);
}

/** Pinning and unpinning: moderators and admins, whoever wrote the message. */
export function canPin(actor: RoomStanding, target: Pick<MessageTarget, 'deleted'>): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  return target.deleted ? 'not_found' : moderates(actor, null);
}

/**
 * Changing a room's details: admins. A direct room never gets a name (its name is the other one), nor slow mode
 * (both are admins, whom it wouldn't slow).
 */
export function canPatchRoom(
  standing: RoomStanding,
  patch: { readonly name?: string | undefined; readonly slow_mode_s?: number | undefined },
): Decision {
  const denied = canRead(standing) ?? adminsOnly(standing);
  if (denied !== null || standing.room_type !== 'direct') return denied;
  return patch.name !== undefined || patch.slow_mode_s !== undefined ? 'conflict' : null;
}

/** Deleting a room: admins, which in a direct room are both; the pair may then open a new one. */
export function canDeleteRoom(standing: RoomStanding): Decision {
  return canRead(standing) ?? adminsOnly(standing);
}

function adminsOnly(standing: RoomStanding): Decision {
  return standing.role === 'admin' ? null : 'forbidden';
}

/** Joining by oneself: public rooms, unless banned. Who is a member already may ask again, in any room. */
export function canJoin(standing: RoomStanding, banned: boolean): Decision {
  return canSeeRoom(standing) ?? (banned ? 'banned' : null);
}

/**
 * Adding somebody with `newRole`: moderators to roles below their own, admins to any; nobody in a direct room,
 * and nobody who is banned: the ban has to be lifted first.
 */
export function canAddMember(actor: RoomStanding, newRole: Role, banned: boolean): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  if (actor.room_type === 'direct') return 'conflict';
  const denied = actor.role === 'admin' ? null : moderates(actor, newRole);
  return denied ?? (banned ? 'banned' : null);
}

/**
 * Giving `subject` another role: admins, to anybody who isn't an admin, and to themselves unless that leaves
 * the room without one. `admins` is how many the room has.
 */
export function canChangeRole(actor: Actor, subject: Subject, newRole: Role, admins: number): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  if (actor.room_type === 'direct') return 'conflict';
  const denied = adminsOnly(actor);
  if (denied !== null) return denied;
  if (subject.role === null) return 'not_found';
  if (subject.user_id === actor.user_id) return newRole !== 'admin' && admins <= 1 ? 'conflict' : null;
  return moderates(actor, subject.role);
}

/** Muting and unmuting: whoever may act on the subject, so never oneself. */
export function canMute(actor: Actor, subject: Subject): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  const powerless = moderates(actor, null);
  if (powerless !== null) return powerless;
  return subject.role === null ? 'not_found' : moderates(actor, subject.role);
}

/** Leaving: anyone but a room's last admin (even alone: he may delete the room), and nobody a direct room. */
export function canLeave(standing: RoomStanding, admins: number): Decision {
  const blind = canRead(standing);
  if (blind !== null) return blind;
  if (standing.room_type === 'direct') return 'conflict';
  return standing.role === 'admin' && admins <= 1 ? 'conflict' : null;
}

/** Removing: whoever may act on the subject; removing oneself is leaving; nobody from a direct room. */
export function canRemoveMember(actor: Actor, subject: Subject, admins: number): Decision {
  if (subject.user_id === actor.user_id) return canLeave(actor, admins);
  const blind = canRead(actor);
  if (blind !== null) return blind;
  if (actor.room_type === 'direct') return 'conflict';
  const powerless = moderates(actor, null);
  if (powerless !== null) return powerless;
  return subject.role === null ? 'not_found' : moderates(actor, subject.role);
}

/** Banning: whoever may act on the subject, member or not, so never oneself; nobody from a direct room. */
export function canBan(actor: Actor, subject: Subject): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  return actor.room_type === 'direct' ? 'conflict' : moderates(actor, subject.role);
}

/** Lifting a ban: moderators, whoever set it. Where there is none, that is said to them alone. */
export function canUnban(actor: RoomStanding, banned: boolean): Decision {
  return canRead(actor) ?? moderates(actor, null) ?? (banned ? null : 'not_found');
}

/** The lists of bans and of what was done and reported: moderators. */
export function canReadModeration(actor: RoomStanding): Decision {
  return canRead(actor) ?? moderates(actor, null);
}

/** Reporting a message: any member, muted or not, but not one's own. Tombstones are gone. */
export function canReport(actor: Actor, target: Pick<MessageTarget, 'user_id' | 'deleted'>): Decision {
  const blind = canRead(actor);
  if (blind !== null) return blind;
  if (target.deleted) return 'not_found';
  return target.user_id === actor.user_id ? 'conflict' : null;
}

/**
 * Turns a decision into its Refusal. `conflict` is the sentence for that code, which alone can't explain itself.
 * @throws Refusal unless the decision is null
 */
export function enforce(decision: Decision, conflict?: string): void {
  if (decision === null) return;
  throw new Refusal(decision, { sentence: decision === 'conflict' ? conflict : undefined });
}
