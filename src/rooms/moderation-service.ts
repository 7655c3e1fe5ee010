import { Refusal } from '../protocol/errors.js';
import type { MessageId, RoomId, UserId } from '../protocol/ids.js';
import type { AuditEntry, Ban } from '../protocol/model.js';
import { announceRemoved, type ListPage, type RoomPorts, readActor, toPage } from './member-service.js';
import type { ModerationStore } from './moderation-port.js';
import type { Standing } from './ports.js';
import type { Keyset } from './room-store-port.js';
import { canBan, canReadModeration, canReport, canUnban, enforce } from './rules.js';

/** The rooms' store for what has to hold their locks, and moderation's for the rest. */
export interface ModerationPorts extends RoomPorts {
  readonly moderation: ModerationStore;
}

/**
 * Keeping people out, and telling what was done and reported. Every method throws a Refusal for what the rules
 * deny, and StoreUnavailable; what it announces is committed.
 */
export interface ModerationService {
  /** Removes a member at once, and keeps him or a stranger out. Again: the ban there is, with a newly given reason. */
  banUser(caller: UserId, room_id: RoomId, user_id: UserId, reason: string | null): Promise<Ban>;
  unbanUser(caller: UserId, room_id: RoomId, user_id: UserId): Promise<void>;
  /** The latest first. */
  listBans(caller: UserId, room_id: RoomId, after: Keyset | null, limit: number): Promise<ListPage<Ban>>;
  /** The newest first. */
  listAudit(
    caller: UserId,
    room_id: RoomId,
    after: Keyset | null,
    limit: number,
  ): Promise<ListPage<AuditEntry>>;
  /** Tells a room's moderators of a message. Again: the reason is changed. */
  reportMessage(caller: UserId, message_id: MessageId, reason: string): Promise<void>;
}

export function moderationService(ports: ModerationPorts): ModerationService {
  const { moderation } = ports;
  return {
    banUser: (caller, room_id, user_id, reason) => banUser(ports, caller, room_id, user_id, reason),
    unbanUser: (caller, room_id, user_id) => unbanUser(ports, caller, room_id, user_id),
    async listBans(caller, room_id, after, limit) {
      enforce(canReadModeration(await standingOf(moderation, caller, room_id)));
      return toPage(await moderation.bans(room_id, after, limit + 1), limit);
    },
    async listAudit(caller, room_id, after, limit) {
      enforce(canReadModeration(await standingOf(moderation, caller, room_id)));
      return toPage(await moderation.auditLog(room_id, after, limit + 1), limit);
    },
    reportMessage: (caller, message_id, reason) => reportMessage(moderation, caller, message_id, reason),
  };
}

async function banUser(
  { store, announcer }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  user_id: UserId,
  reason: string | null,
): Promise<Ban> {
  const { ban, removed } = await store.changeRoom(room_id, async (change) => {
    const { actor, subject } = await readActor(change, caller, user_id);
    const decision = canBan(actor, { user_id, role: subject?.role ?? null });
    enforce(decision, 'Nobody is banned from a direct room.');
    const [before] = await change.bansOf([user_id]);
    if (before !== undefined && (reason === null || reason === before.reason))
      return { ban: before, removed: null };
    const set = await change.putBan({ user_id, reason, banned_by: caller });
    if (set === null) throw new Refusal('not_found', { sentence: 'No such user.' });
    const removed = subject && { ...subject, removed_ms: await change.removeMember(user_id) };
    const details = { reason: set.reason };
    await change.audit([{ action: 'member_banned', actor_id: caller, target_user_id: user_id, details }]);
    return { ban: set, removed };
  });
  if (removed !== null) announceRemoved(announcer, room_id, removed, 'banned');
  return ban;
}

async function unbanUser(
  { store }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  user_id: UserId,
): Promise<void> {
  await store.changeRoom(room_id, async (change) => {
    const [{ actor }, [ban]] = await Promise.all([readActor(change, caller), change.bansOf([user_id])]);
    enforce(canUnban(actor, ban !== undefined));
    await change.removeBan(user_id);
    await change.audit([{ action: 'member_unbanned', actor_id: caller, target_user_id: user_id }]);
  });
}

async function reportMessage(
  moderation: ModerationStore,
  caller: UserId,
  message_id: MessageId,
  reason: string,
): Promise<void> {
  const target = await moderation.messageTarget(message_id);
  if (target === null) throw new Refusal('not_found');
  const standing = await standingOf(moderation, caller, target.room_id);
  const decision = canReport({ ...standing, user_id: caller }, target);
  enforce(decision, 'You wrote this message yourself; you can delete it.');
  await moderation.report({ message_id, reporter: caller, reason });
}

async function standingOf(moderation: ModerationStore, caller: UserId, room_id: RoomId): Promise<Standing> {
  const [standing] = await moderation.standings([{ room_id, user_id: caller }]);
  if (!standing) throw new Refusal('not_found');
  return standing;
}
