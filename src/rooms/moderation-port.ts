import type { MessageId, RoomId, UserId } from '../protocol/ids.js';
import type { AuditEntry, Ban } from '../protocol/model.js';
import type { MessageTarget, StandingReader } from './ports.js';
import type { Keyset, Placed } from './room-store-port.js';

export interface NewReport {
  readonly message_id: MessageId;
  readonly reporter: UserId;
  readonly reason: string;
}

/** What moderation asks for outside of a room's lock. Every method: @throws StoreUnavailable */
export interface ModerationStore extends StandingReader {
  /** A room's bans after a place, the latest first, at most `limit`. */
  bans(room_id: RoomId, after: Keyset | null, limit: number): Promise<Placed<Ban>[]>;
  /** A room's audit log after a place, the newest first, at most `limit`. */
  auditLog(room_id: RoomId, after: Keyset | null, limit: number): Promise<Placed<AuditEntry>[]>;
  /** null: no such message, or in a deleted room. */
  messageTarget(id: MessageId): Promise<MessageTarget | null>;
  /**
   * Writes a report and its audit entry, both or neither. A repeat changes the reason; one with the same reason
   * changes nothing and is not told again. A tombstone is passed over.
   */
  report(report: NewReport): Promise<void>;
}

/** A member's message that asks for the room's slow mode to let it through. */
export interface SlotClaim {
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly message_id: MessageId;
}

/** The slots of slow mode. Every method: @throws StoreUnavailable */
export interface SlowModeStore {
  /**
   * Takes each member's slot where it is free, in one statement and by the database's clock, so that of many
   * nodes one takes it. Whoever holds it with the same message takes it again.
   * @param claims at most one of each room and user
   * @returns in their order, milliseconds until the slot is free, 0 where it was taken; null for non-members
   */
  claim(claims: readonly SlotClaim[]): Promise<(number | null)[]>;
  /** Frees a slot whose message was never written. */
  release(claim: SlotClaim): Promise<void>;
}
