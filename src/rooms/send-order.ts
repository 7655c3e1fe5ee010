import type { UserId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { NewMessage, UnlinkedAttachment } from './ports.js';

/** A message that is to be sent, with what its event and its answer need beside the row. */
export interface SendOrder extends NewMessage {
  readonly username: string;
  readonly metadataValue: Record<string, unknown>;
  /** Names after an `@` in the content, lower case, each once. */
  readonly named: readonly string[];
  /** Filled in by the writer. */
  mentions: readonly UserId[];
  /** Filled in by the writer, in the order of `attachment_ids`. */
  attachments?: readonly UnlinkedAttachment[];
}

/** Whether a message that exists, or is under way, came from this very request. */
export function isSameSend(
  known: Pick<NewMessage, 'room_id' | 'user_id' | 'body_hash'>,
  order: Pick<NewMessage, 'room_id' | 'user_id' | 'body_hash'>,
): boolean {
  return (
    known.room_id === order.room_id && known.user_id === order.user_id && known.body_hash === order.body_hash
  );
}

/** A message as it was when it was created. */
export function messageOf(order: SendOrder, seq_no: number, rev: number, createdAt: string): Message {
  return {
    id: order.id,
    room_id: order.room_id,
    user_id: order.user_id,
    username: order.username,
    seq_no,
    rev,
    type: 'text',
    content: order.content,
    metadata: order.metadataValue,
    mentions: [...order.mentions],
    reply_to: order.reply_to,
    thread_root: order.thread_root,
    thread_count: 0,
    edited: false,
    edited_at: null,
    pinned: false,
    reactions: [],
    attachments: [...(order.attachments ?? [])],
    created_at: createdAt,
    updated_at: createdAt,
    deleted_at: null,
  };
}
