import type { Message } from '../protocol/model.js';
import { METADATA_MAX_BYTES } from '../protocol/requests.js';
import type { Db, Tx } from './client.js';
import { shownAttachments } from './shown-attachments.js';

/** A message as {@link messageColumns} reads it. */
export interface MessageRow {
  readonly id: string;
  readonly room_id: string;
  readonly user_id: string;
  readonly username: string;
  readonly seq_no: number;
  readonly rev: number;
  readonly type: Message['type'];
  readonly content: string;
  readonly metadata: Record<string, unknown> | null;
  readonly mentions: string[] | null;
  readonly reply_to: string | null;
  readonly thread_root: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly edited_at: Date | null;
  readonly deleted_at: Date | null;
  readonly pinned: boolean;
  readonly reactions: Message['reactions'] | null;
  readonly thread_count: number | null;
  /** Their links still storage keys. */
  readonly attachments: Message['attachments'] | null;
}

const REACTION_USERS_MAX = 50; // the newest of each emoji (PROTOCOL §1): what a message costs stays bounded

/**
 * The select list of a {@link MessageRow}, for `from messages m join users u on u.id = m.user_id`. A message
 * without reactions isn't looked up for any; one with many costs a range of an index for each emoji.
 */
export function messageColumns(db: Db | Tx) {
  return db`
    m.id, m.room_id, m.user_id, u.username, m.seq_no, m.rev, m.type, m.content, m.metadata, m.mentions,
    m.reply_to, m.thread_root, m.created_at, m.updated_at, m.edited_at, m.deleted_at, m.pinned,
    (select t.count from thread_counts t where t.root_id = m.id) as thread_count,
    case when m.reaction_kinds > 0 then (
      select json_agg(json_build_object('emoji', c.emoji, 'count', c.count, 'user_ids', array(
          select r.user_id from reactions r where r.message_id = m.id and r.emoji = c.emoji
          order by r.rev desc limit ${REACTION_USERS_MAX}
        )) order by c.first_rev)
      from reaction_counts c where c.message_id = m.id
    ) end as reactions,
    case when m.deleted_at is null then (
      select ${shownAttachments(db)} from attachments a where a.message_id = m.id and a.state = 'attached'
    ) end as attachments`;
}

/**
 * About how many bytes a message is once it is read, for `from messages m`: 700 for the members of fixed size, 40 for
 * an id. Told without reading it: what is kept outside of the row stays there, and metadata that is compressed counts
 * as the largest.
 */
export function storedSize(db: Db | Tx) {
  return db`700 + octet_length(m.content) + 40 * coalesce(cardinality(m.mentions), 0)
    + case when pg_column_compression(m.metadata) is null then coalesce(pg_column_size(m.metadata), 0)
        else ${METADATA_MAX_BYTES}::int end
    + case when m.reaction_kinds > 0 then (
        select coalesce(sum(100 + 40 * least(c.count, ${REACTION_USERS_MAX})), 0)::int
        from reaction_counts c where c.message_id = m.id
      ) else 0 end`;
}

/**
 * A row as PROTOCOL §1 shows it: the only place that knows what a tombstone keeps (its place, its author and
 * its times) and what it doesn't, whatever the row still holds.
 */
export function toMessage(row: MessageRow): Message {
  const deleted = row.deleted_at !== null;
  return {
    id: row.id,
    room_id: row.room_id,
    user_id: row.user_id,
    username: row.username,
    seq_no: row.seq_no,
    rev: row.rev,
    type: row.type,
    content: deleted ? '' : row.content,
    metadata: deleted ? {} : (row.metadata ?? {}),
    mentions: deleted ? [] : (row.mentions ?? []),
    reply_to: row.reply_to,
    thread_root: row.thread_root,
    thread_count: row.thread_count ?? 0,
    edited: row.edited_at !== null,
    edited_at: row.edited_at?.toISOString() ?? null,
    pinned: !deleted && row.pinned,
    reactions: deleted ? [] : (row.reactions ?? []),
    attachments: deleted ? [] : (row.attachments ?? []),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    deleted_at: row.deleted_at?.toISOString() ?? null,
  };
}
