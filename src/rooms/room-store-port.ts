import type { RoomId, UserId } from '../protocol/ids.js';
import type { Ban, Member, MyRoom, Role, Room, RoomType } from '../protocol/model.js';
import type { NewAuditEntry } from './audit-port.js';
import type { StandingReader } from './ports.js';

/**
 * A place in a list ordered by time and then id: the last entry that was seen. Microseconds since the epoch,
 * as exact as PostgreSQL keeps them, so that no entry is skipped or repeated.
 */
export interface Keyset {
  readonly at_us: number;
  readonly id: string;
}

/** An entry of a list with its place in it. */
export interface Placed<T> {
  readonly entry: T;
  readonly place: Keyset;
}

/** A room to be created; its creator is among the members given beside it. */
export interface NewRoom {
  readonly id: RoomId;
  readonly type: RoomType;
  readonly name: string | null;
  readonly description: string | null;
  readonly created_by: UserId;
  /** Names the pair of a direct room, null for any other; a second room with the same key is never made. */
  readonly direct_key: string | null;
}

export interface NewMember {
  readonly user_id: UserId;
  readonly role: Role;
}

/** A ban to be written or, where there is one, to be changed. */
export interface NewBan {
  readonly user_id: UserId;
  /** null: none is given, which leaves that of an existing ban. */
  readonly reason: string | null;
  readonly banned_by: UserId;
}

/** A room with what it is to one user. */
export interface RoomView {
  readonly room: Room;
  /** Null for a non-member. */
  readonly mine: MyRoom | null;
}

/** What is asked of rooms and memberships. Every method: @throws StoreUnavailable */
export interface RoomStore extends StandingReader {
  /** Those of the ids that are no account, or a deleted one's. */
  unknownUsers(user_ids: readonly UserId[]): Promise<UserId[]>;
  /** How many rooms the user has made that are still there, direct ones apart; counted no further than `enough`. */
  roomsMadeBy(user_id: UserId, enough: number): Promise<number>;
  /**
   * Creates a room with its counters and members: all or nothing. When the direct key exists, also when
   * another asks at the same moment, that room is given (`created` false) and nothing is written.
   * @param members known users, each once
   */
  createRoom(room: NewRoom, members: readonly NewMember[]): Promise<{ room: Room; created: boolean }>;
  /** A room as a user sees it; null when there is none or it is deleted. Says nothing of what he may see. */
  roomView(room_id: RoomId, user_id: UserId): Promise<RoomView | null>;
  /** The user's rooms after a place, the most recently active first, at most `limit`. */
  myRooms(user_id: UserId, after: Keyset | null, limit: number): Promise<Placed<MyRoom>[]>;
  /** A room's members after a place, the earliest first, at most `limit`. */
  members(room_id: RoomId, after: Keyset | null, limit: number): Promise<Placed<Member>[]>;
  /**
   * Runs `work` on a room that nobody else can change meanwhile, on any node: commits when it resolves, undoes
   * everything and rethrows when it rejects. `work` may wait for nothing but the given `RoomChange`. Calls for
   * one room take turns; one that waited too long is StoreUnavailable without having done anything.
   * @throws Refusal `not_found` when the room doesn't exist or is deleted
   */
  changeRoom<T>(room_id: RoomId, work: (change: RoomChange) => Promise<T>): Promise<T>;
}

/** One room under its lock: reads see everything committed before, writes become visible together. */
export interface RoomChange {
  readonly room_type: RoomType;
  room(): Promise<Room>;
  /** The members among these users, in any order. */
  membersOf(user_ids: readonly UserId[]): Promise<Member[]>;
  countAdmins(): Promise<number>;
  /** Adds users who aren't members, in their order, everything so far read; those who don't exist are missing. */
  addMembers(members: readonly NewMember[]): Promise<Member[]>;
  /** Removes a member; gives the time of it, epoch ms: any later membership begins after it. */
  removeMember(user_id: UserId): Promise<number>;
  /** Sets a member's role and mute (RFC 3339, null: not muted). */
  setMember(user_id: UserId, set: Pick<Member, 'role' | 'muted_until'>): Promise<void>;
  setDetails(set: Pick<Room, 'name' | 'description' | 'slow_mode_s'>): Promise<void>;
  /** The bans of these users, in any order. */
  bansOf(user_ids: readonly UserId[]): Promise<Ban[]>;
  /** Bans somebody, or gives an existing ban another reason; null when there is no such user. */
  putBan(ban: NewBan): Promise<Ban | null>;
  removeBan(user_id: UserId): Promise<void>;
  /** Tells the audit log what this change did. */
  audit(entries: readonly NewAuditEntry[]): Promise<void>;
  /** Deletes the room, closes its log to messages, and frees its direct key. */
  deleteRoom(): Promise<void>;
}
