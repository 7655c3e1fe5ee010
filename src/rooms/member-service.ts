import { Refusal } from '../protocol/errors.js';
import * as facts from '../protocol/facts.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Member, MyRoom, Role, Room, RoomType } from '../protocol/model.js';
import type { AddMemberBody, PatchMemberBody } from '../protocol/requests.js';
import type { NewAuditEntry } from './audit-port.js';
import { createJoinBatches } from './join-batches.js';
import type { Announcer } from './ports.js';
import type { Keyset, Placed, RoomChange, RoomStore } from './room-store-port.js';
import {
  type Actor,
  canAddMember,
  canChangeRole,
  canLeave,
  canListMembers,
  canMute,
  canRemoveMember,
  enforce,
  isMuted,
} from './rules.js';

const OTHER_BANNED = 'This user is banned from the room.'; // the catalogue's sentence speaks to the banned

/** What rooms are made of: the store, and whom to tell once something is committed. */
export interface RoomPorts {
  readonly store: RoomStore;
  readonly announcer: Announcer;
  /** Rooms that one user may make, about: who makes several at once may get some more. 0 turns the limit off. */
  readonly roomsMax?: number;
}

/** One page of a list; `next` is the place to go on from, null at the end. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly next: Keyset | null;
}

/**
 * Who belongs to a room, and as what. Every change reads what its rule needs under the room's lock, so that
 * two at once can't both be the last but one. Every method throws a Refusal for what the rules deny, and
 * StoreUnavailable; what it announces is committed.
 */
export interface MemberService {
  /** Joining again changes nothing. Somebody who joins has read everything so far. */
  joinRoom(caller: UserId, room_id: RoomId): Promise<MyRoom>;
  leaveRoom(caller: UserId, room_id: RoomId): Promise<void>;
  /** The earliest members first. */
  listMembers(
    caller: UserId,
    room_id: RoomId,
    after: Keyset | null,
    limit: number,
  ): Promise<ListPage<Member>>;
  /** Somebody who is a member already stays what he is; `added` is false then. */
  addMember(
    caller: UserId,
    room_id: RoomId,
    body: AddMemberBody,
  ): Promise<{ member: Member; added: boolean }>;
  /** @param patch muted_until as toISOString writes it */
  patchMember(caller: UserId, room_id: RoomId, user_id: UserId, patch: PatchMemberBody): Promise<Member>;
  /** Removing oneself is leaving. */
  removeMember(caller: UserId, room_id: RoomId, user_id: UserId): Promise<void>;
}

export function memberService(ports: RoomPorts): MemberService {
  const join = createJoinBatches(ports.store);
  return {
    joinRoom: (caller, room_id) => joinRoom(ports, join, caller, room_id),
    leaveRoom: (caller, room_id) => leaveRoom(ports, caller, room_id),
    listMembers: (caller, room_id, after, limit) => listMembers(ports.store, caller, room_id, after, limit),
    addMember: (caller, room_id, body) => addMember(ports, caller, room_id, body),
    patchMember: (caller, room_id, user_id, patch) => patchMember(ports, caller, room_id, user_id, patch),
    removeMember: (caller, room_id, user_id) => removeMember(ports, caller, room_id, user_id),
  };
}

async function joinRoom(
  { store, announcer }: RoomPorts,
  join: ReturnType<typeof createJoinBatches>,
  caller: UserId,
  room_id: RoomId,
): Promise<MyRoom> {
  const joined = await join(caller, room_id);
  if (joined !== null) announceJoined(announcer, room_id, joined);
  const view = await store.roomView(room_id, caller);
  if (view === null || view.mine === null) throw new Refusal('not_found'); // gone or removed since
  if (joined !== null) announceAdded(announcer, view.room, joined);
  return view.mine;
}

async function leaveRoom({ store, announcer }: RoomPorts, caller: UserId, room_id: RoomId): Promise<void> {
  const left = await store.changeRoom(room_id, async (change) => {
    const { actor, member } = await readActor(change, caller);
    enforce(canLeave(actor, await change.countAdmins()), membershipConflict(change.room_type));
    if (member === null) throw new Refusal('not_a_member');
    return { ...member, removed_ms: await change.removeMember(caller) };
  });
  announceLeft(announcer, room_id, left);
}

/** Who was a member, from when until when (epoch ms); without a time he can't have come back. */
export type Gone = Pick<Member, 'user_id' | 'username'> &
  Partial<Pick<Member, 'joined_at'>> & {
    readonly removed_ms?: number;
  };

/** The room hears it first, so that the leaver's other devices do too. */
export function announceLeft(
  announcer: Announcer,
  room_id: RoomId,
  { user_id, username, joined_at, removed_ms }: Gone,
): void {
  const fact = facts.memberLeft(room_id, user_id, joined_at ?? null);
  announcer.standingChanged(room_id, user_id as UserId);
  announcer.toRoom(room_id, 'member_left', { user_id, username }, fact);
  announcer.revoke(room_id, user_id as UserId, removed_ms);
}

async function listMembers(
  store: RoomStore,
  caller: UserId,
  room_id: RoomId,
  after: Keyset | null,
  limit: number,
): Promise<ListPage<Member>> {
  const [standing] = await store.standings([{ room_id, user_id: caller }]);
  if (!standing) throw new Refusal('not_found');
  enforce(canListMembers(standing));
  return toPage(await store.members(room_id, after, limit + 1), limit);
}

async function addMember(
  { store, announcer }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  body: AddMemberBody,
): Promise<{ member: Member; added: boolean }> {
  const user_id = body.user_id as UserId;
  const role = body.role ?? 'member';
  const { member, room } = await store.changeRoom(room_id, async (change) => {
    const [{ actor, subject }, [ban]] = await Promise.all([
      readActor(change, caller, user_id),
      change.bansOf([user_id]),
    ]);
    const decision = canAddMember(actor, role, ban !== undefined);
    if (decision === 'banned') throw new Refusal('banned', { field: 'user_id', sentence: OTHER_BANNED });
    enforce(decision, membershipConflict(change.room_type));
    if (subject !== null) return { member: subject, room: null };
    const [added] = await change.addMembers([{ user_id, role }]);
    if (added === undefined) throw new Refusal('not_found', { field: 'user_id', sentence: 'No such user.' });
    await change.audit([
      { action: 'member_added', actor_id: caller, target_user_id: user_id, details: { role } },
    ]);
    return { member: added, room: await change.room() };
  });
  if (room === null) return { member, added: false };
  announceJoined(announcer, room_id, member);
  announceAdded(announcer, room, member);
  return { member, added: true };
}

/** Tells a member's devices of his room: also where he came by himself, as that was on one of them. */
export function announceAdded(
  announcer: Announcer,
  room: Room,
  member: Pick<Member, 'user_id' | 'joined_at'>,
): void {
  const room_id = room.id as RoomId;
  const fact = facts.roomAdded(room_id, member);
  announcer.toUser(member.user_id as UserId, room_id, 'room_added', { room }, fact);
}

function announceJoined(announcer: Announcer, room_id: RoomId, member: Member): void {
  announcer.standingChanged(room_id, member.user_id as UserId);
  announcer.toRoom(room_id, 'member_joined', joinedPayload(member), facts.memberJoined(room_id, member));
}

/** What `member_joined` says. */
export function joinedPayload(member: Member) {
  const { user_id, username, role } = member;
  return { user_id, username, role, member };
}

/** What `member_updated` says. */
export function updatedPayload(member: Member) {
  return { ...joinedPayload(member), muted_until: member.muted_until };
}

async function patchMember(
  { store, announcer }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  user_id: UserId,
  patch: PatchMemberBody,
): Promise<Member> {
  const { member, changed } = await store.changeRoom(room_id, async (change) => {
    const { actor, subject } = await readActor(change, caller, user_id);
    await enforcePatch(change, actor, { user_id, role: subject?.role ?? null }, patch);
    if (subject === null) throw new Refusal('not_found');
    const next = { ...subject, ...nextState(subject, patch) };
    const differs = next.role !== subject.role || next.muted_until !== subject.muted_until;
    if (differs) {
      await change.setMember(user_id, next);
      await change.audit(changesOf(caller, subject, next));
    }
    return { member: next, changed: differs };
  });
  if (changed) {
    announcer.standingChanged(room_id, user_id);
    const fact = facts.memberUpdated(room_id, member);
    announcer.toRoom(room_id, 'member_updated', updatedPayload(member), fact);
  }
  return member;
}

/** Every part of a patch must be allowed by itself. Nobody may mute whom the same patch makes his equal. */
async function enforcePatch(
  change: RoomChange,
  actor: Actor,
  subject: { readonly user_id: UserId; readonly role: Role | null },
  patch: PatchMemberBody,
): Promise<void> {
  enforce(canListMembers(actor));
  if (patch.role !== undefined) {
    const admins = await change.countAdmins();
    enforce(canChangeRole(actor, subject, patch.role, admins), membershipConflict(change.room_type));
  }
  if (patch.muted_until !== undefined) {
    const promoted = patch.role === 'admin' && patch.muted_until !== null;
    enforce(canMute(actor, promoted ? { ...subject, role: 'admin' } : subject));
  }
}

/** Who becomes an admin is unmuted: nobody could do it later. */
function nextState(subject: Member, patch: PatchMemberBody): Pick<Member, 'role' | 'muted_until'> {
  const role = patch.role ?? subject.role;
  if (role === 'admin') return { role, muted_until: null };
  return { role, muted_until: patch.muted_until === undefined ? subject.muted_until : patch.muted_until };
}

/** What a patched member tells the audit log. A mute that has ended already is none. */
function changesOf(actor_id: UserId, before: Member, after: Member): NewAuditEntry[] {
  const who = { actor_id, target_user_id: after.user_id as UserId };
  const entries: NewAuditEntry[] = [];
  if (after.role !== before.role) {
    entries.push({ ...who, action: 'role_changed', details: { from: before.role, to: after.role } });
  }
  if (after.muted_until !== before.muted_until) {
    const { muted_until } = after;
    const muted = isMuted(mutedUntil(after), Date.now());
    entries.push({ ...who, action: muted ? 'member_muted' : 'member_unmuted', details: { muted_until } });
  }
  return entries;
}

function mutedUntil(member: Member | null): { readonly muted_until: number | null } {
  return { muted_until: member?.muted_until ? Date.parse(member.muted_until) : null };
}

async function removeMember(
  { store, announcer }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  user_id: UserId,
): Promise<void> {
  const removed = await store.changeRoom(room_id, async (change) => {
    const { actor, subject } = await readActor(change, caller, user_id);
    const target = { user_id, role: subject?.role ?? null };
    enforce(canRemoveMember(actor, target, await change.countAdmins()), membershipConflict(change.room_type));
    if (subject === null) throw new Refusal('not_found');
    const removed_ms = await change.removeMember(user_id);
    if (user_id !== caller) {
      await change.audit([{ action: 'member_removed', actor_id: caller, target_user_id: user_id }]);
    }
    return { ...subject, removed_ms };
  });
  if (user_id === caller) announceLeft(announcer, room_id, removed);
  else announceRemoved(announcer, room_id, removed, 'removed');
}

/** Who is removed hears it, and is cut off before the room hears it. */
export function announceRemoved(
  announcer: Announcer,
  room_id: RoomId,
  member: Member & { readonly removed_ms: number },
  reason: 'removed' | 'banned',
): void {
  const { username, joined_at, removed_ms } = member;
  const user_id = member.user_id as UserId;
  announcer.standingChanged(room_id, user_id);
  const removed = facts.removedFrom(room_id, member);
  announcer.toUser(user_id, room_id, 'removed_from_room', { room_id, reason }, removed);
  announcer.revoke(room_id, user_id, removed_ms);
  announcer.toRoom(
    room_id,
    'member_left',
    { user_id, username },
    facts.memberLeft(room_id, user_id, joined_at),
  );
}

/** Reads, under the room's lock, what the rules need of who asks and of who is acted upon. */
export async function readActor(
  change: RoomChange,
  caller: UserId,
  subject_id: UserId = caller,
): Promise<{ actor: Actor; member: Member | null; subject: Member | null }> {
  const found = await change.membersOf([...new Set([caller, subject_id])]);
  const member = found.find(({ user_id }) => user_id === caller) ?? null;
  const subject = found.find(({ user_id }) => user_id === subject_id) ?? null;
  const { room_type } = change;
  const actor = { user_id: caller, role: member?.role ?? null, room_type, ...mutedUntil(member) };
  return { actor, member, subject };
}

function membershipConflict(room_type: RoomType): string {
  if (room_type === 'direct') return 'A direct room keeps its two members as they are.';
  return 'The last admin of a room can neither leave nor step down.';
}

/** A page out of `limit + 1` entries asked for: the one too many says that there is more. */
export function toPage<T>(found: readonly Placed<T>[], limit: number): ListPage<T> {
  const shown = found.slice(0, limit);
  return {
    items: shown.map(({ entry }) => entry),
    next: found.length > limit ? (shown.at(-1)?.place ?? null) : null,
  };
}
