import type { MessageId, RoomId } from '../protocol/ids.js';
import type { Message, MessageEdit } from '../protocol/model.js';

/** What the handlers of messages read; src/store implements it. All throw `StoreUnavailable`. */
export interface MessageReader {
  /** A page of a room, newest first; `after` and `around` as PROTOCOL §2 has them. */
  history(
    room_id: RoomId,
    page: {
      readonly cursor: { readonly kind: 'before' | 'after' | 'around'; readonly seq: number } | null;
      readonly limit: number;
    },
  ): Promise<Message[]>;
  /** null: the room has no such message. */
  seqOf(room_id: RoomId, id: MessageId): Promise<number | null>;
  /** null: unknown, or in a deleted room. */
  messageById(id: MessageId): Promise<{ readonly message: Message; readonly room_id: RoomId } | null>;
  roomOf(id: MessageId): Promise<RoomId | null>;
  /** The messages under a root with a number above `after`, tombstones included, the earliest first. */
  thread(root: MessageId, after: number, limit: number): Promise<Message[]>;
  /** The latest first, at most 100; none of a tombstone. */
  editsOf(id: MessageId): Promise<MessageEdit[]>;
  /** The latest pinned first. */
  pinsOf(room_id: RoomId): Promise<Message[]>;
}
