import type { Fact } from '../protocol/facts.js';
import type { AttachmentId, MessageId, RoomId, UserId } from '../protocol/ids.js';
import type { Message, Role, RoomType } from '../protocol/model.js';

/** What the domain asks of the world. src/store implements these on PostgreSQL. */

/** What admission needs to know of a user in a room. */
export interface Standing {
  readonly room_type: RoomType;
  /** null: not a member. */
  readonly role: Role | null;
  /** Epoch milliseconds; null: not muted. */
  readonly muted_until: number | null;
  /** Seconds that a plain member waits between two messages; 0: no slow mode. */
  readonly slow_mode_s: number;
  /** The user's current name. */
  readonly username: string;
  /** How many members the room has. */
  readonly member_count: number;
}

export interface StandingReader {
  /**
   * One round trip for all pairs, in their order; null where the room doesn't exist or is deleted.
   * @throws StoreUnavailable
   */
  standings(pairs: readonly { room_id: RoomId; user_id: UserId }[]): Promise<(Standing | null)[]>;
}

/**
 * The events that leave a shard outside of a room's log (members, rooms; no `rev`). Best effort: a socket
 * that is away learns the same from REST.
 */
export interface Announcer {
  /** To every socket that has joined the room. @param fact what it tells, where the watch over the database finds it too */
  toRoom(room_id: RoomId, type: string, payload: unknown, fact?: Fact): void;
  /** To every socket of a user, joined or not. */
  toUser(user_id: UserId, room_id: RoomId, type: string, payload: unknown, fact?: Fact): void;
  /**
   * Ends a user's subscriptions to a room (null: everybody's) and forgets what is cached of them, at once. Those of
   * a membership that began after `before_ms` (epoch, the database's clock) stay: he has come back meanwhile.
   */
  revoke(room_id: RoomId, user_id: UserId | null, before_ms?: number): void;
  /** A user's (null: everybody's) role, mute, slow mode or membership in a room has changed: forget what is cached. */
  standingChanged(room_id: RoomId, user_id: UserId | null): void;
}

/** A message as it is to be inserted. `ord` numbers a room's messages within the batch from 1. */
export interface NewMessage {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly content: string;
  /** JSON text of an object, or null for an empty one. */
  readonly metadata: string | null;
  readonly reply_to: MessageId | null;
  readonly thread_root: MessageId | null;
  /** Members whom the content names, each once. */
  readonly mentions: readonly UserId[];
  /** SHA-256 over what the client sent, in hex: to tell a repeat from a conflict, also after edits. */
  readonly body_hash: string;
  /** Each once; absent where there are none. */
  readonly attachment_ids?: readonly AttachmentId[];
}

/** An attachment as a message shows it, its links still storage keys: they are made when it is encoded. */
export type UnlinkedAttachment = Message['attachments'][number];

/** An attachment that a message may claim. */
export interface Claimable {
  readonly id: AttachmentId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  /** The message that has claimed it; null: none yet. */
  readonly message_id: MessageId | null;
  readonly attachment: UnlinkedAttachment;
}

/** The counters of a room before a batch: its messages take base + 1, base + 2, … */
export interface RoomBase {
  readonly seq: number;
  readonly rev: number;
}

/** What is known of a message id that exists. */
export interface KnownMessage {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly seq_no: number;
  /** The rev it was created with. */
  readonly rev: number;
  /** RFC 3339. */
  readonly created_at: string;
  readonly mentions: readonly UserId[];
  readonly body_hash: string;
}

/** What has to be known of a message before it is edited or deleted. */
export interface MessageTarget {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly deleted: boolean;
  /** The author's role in the room; null when the author is no member any more. */
  readonly author_role: Role | null;
}

export interface NamedMember {
  readonly room_id: RoomId;
  readonly user_id: UserId;
  /** Lower case. */
  readonly name: string;
}

export interface EditOrder {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly content: string;
}

export interface DeleteOrder {
  readonly id: MessageId;
  readonly room_id: RoomId;
  /** Who deletes: where that isn't the author, the audit log tells. */
  readonly user_id: UserId;
}

/** To add or take back the reaction of a user. */
export interface ReactionOrder {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly emoji: string;
}

/** Asks for the messages of a room whose latest rev is above `rev`. */
export interface AskedAfter {
  readonly room_id: RoomId;
  readonly rev: number;
  /** The message that reaches them is the last; at least one is read. */
  readonly bytes: number;
}

/** As many of them, by rev, as one read takes; `more` where there are others after them. */
export interface MessagesAfter {
  /** Of the same snapshot; null: the room is gone. */
  readonly head: RoomHead | null;
  readonly messages: readonly Message[];
  readonly more: boolean;
}

/** To pin or unpin. */
export interface PinOrder {
  readonly id: MessageId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
}

/** To take files off a message: those of the ids that are attached to it. */
export interface DetachOrder {
  readonly id: MessageId;
  readonly room_id: RoomId;
  /** Who does it. */
  readonly user_id: UserId;
  readonly attachment_ids: readonly AttachmentId[];
}

/** The changes of messages that exist, by what orders them. */
export interface ChangeOrders {
  readonly edit: EditOrder;
  readonly delete: DeleteOrder;
  readonly addReaction: ReactionOrder;
  readonly removeReaction: ReactionOrder;
  readonly pin: PinOrder;
  readonly unpin: PinOrder;
  readonly detach: DetachOrder;
}
export type ChangeKind = keyof ChangeOrders;

/** A message after all the changes of its batch. */
export interface ChangedMessage {
  readonly message: Message;
  /** The rev that this order took; null where it found nothing to change. */
  readonly rev: number | null;
  /** Of reactions: how many of the emoji the message had after this order. */
  readonly count: number;
}

/** What became of an order: null where the room has no such message (any more), `full` where a limit is reached. */
export type ChangeOutcome = ChangedMessage | 'full' | null;

/** What a change told apart from the message's text: a reaction, a pin, or (`message_updated`) that files have left it. */
export type MarkChange =
  | {
      readonly type: 'reaction_added' | 'reaction_removed';
      readonly user_id: UserId;
      readonly emoji: string;
      /** How many of the emoji the message had then. */
      readonly count: number;
    }
  | {
      readonly type: 'message_pinned' | 'message_unpinned' | 'message_updated';
      readonly user_id: UserId;
    };

/** A message changed after some rev, with every rev after it that this message took. */
export interface LoggedMessage {
  readonly message: Message;
  readonly created_rev: number;
  /** Revs of edits after the given rev, ascending. */
  readonly edit_revs: readonly number[];
  /** Reactions, pins and files that have left, after the given rev. */
  readonly marks: readonly (MarkChange & { readonly rev: number })[];
}

/** A user's read watermark in a room, as it is to be moved: every message up to `seq_no` is read. */
export interface ReadMark {
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly seq_no: number;
}

/** A watermark that did move, to where it stands now. */
export interface MovedMark extends ReadMark {
  /** How many members the room has. */
  readonly member_count: number;
}

export interface RoomHead {
  readonly room_id: RoomId;
  readonly head_seq: number;
  readonly head_rev: number;
}

/**
 * Applies orders in their order, in one transaction: all or nothing. Of orders that depend on one another (two
 * edits of a message, a reaction twice) one batch holds one only. The outcomes come in the order of the orders.
 */
export type Changes = {
  readonly [Kind in ChangeKind]: (
    orders: readonly ChangeOrders[Kind][],
    at: Date,
  ) => Promise<ChangeOutcome[]>;
};

/**
 * The log of all rooms. Everything that changes it locks the room's counters first, in room-id order, so
 * that revs are visible in their order and nothing deadlocks. Errors: `StoreUnavailable` when the outcome is
 * unknown or the database away; `DuplicateIds` and `BadRow` as said.
 */
export interface MessageLog extends Changes {
  /**
   * Numbers and inserts a batch in one statement: all or nothing. Rooms that don't exist (any more) are
   * missing in the result, and their messages were not inserted.
   * @throws DuplicateIds when an id exists already (nothing was inserted, no number was used)
   * @throws BadRow when PostgreSQL refuses a value
   * @throws Refusal `not_found` when an attachment was claimed by another message (nothing was inserted)
   */
  insert(messages: readonly NewMessage[], created_at: Date): Promise<Map<RoomId, RoomBase>>;
  /** Those of the ids that exist, in any order. */
  known(ids: readonly MessageId[]): Promise<KnownMessage[]>;
  /** Those of the ids that exist in rooms that do, in any order. */
  targets(ids: readonly MessageId[]): Promise<MessageTarget[]>;
  /** Those of the names (lower case) that members of their room bear. */
  members(wanted: readonly { room_id: RoomId; name: string }[]): Promise<NamedMember[]>;
  /** Those of the attachments that are ready or attached, in any order. */
  claimable(ids: readonly AttachmentId[]): Promise<Claimable[]>;
  /** What is attached to a message, in order. */
  attachmentsOf(message_id: MessageId): Promise<UnlinkedAttachment[]>;
  /** Heads of those rooms that exist. */
  heads(room_ids: readonly RoomId[]): Promise<RoomHead[]>;
  /**
   * An answer for each of what is asked, in their order, all of one snapshot.
   * @param limit messages of each
   */
  messagesAfter(asked: readonly AskedAfter[], limit: number): Promise<MessagesAfter[]>;
  /**
   * The same messages with every rev above `rev` that they took, and so all of the log after it; with the head of the same
   * snapshot. None where these revs are more than `limit`.
   */
  changesAfter(
    room_id: RoomId,
    rev: number,
    limit: number,
  ): Promise<{ head: RoomHead | null; changes: LoggedMessage[] }>;
}

export type { Message };
