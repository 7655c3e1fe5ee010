import type { Message } from '../protocol/model.js';
import { METADATA_MAX_BYTES } from '../protocol/requests.js';
import type { Db, Tx } from './client.js';
import { shownAttachments } from './shown-attachments.js';

/** A message as {@link messageColumns} reads it. Times are as PostgreSQL writes them: {@link timestampOf}. */
export interface MessageRow {
  readonly id: string;
  readonly room_id: string;
  readonly user_id: string;
  readonly username: string;
  readonly seq_no: number;
  readonly rev: number;
  readonly content: string;
  readonly created_at: string;
  readonly more: MessageMore | null;
  readonly thread_count: number | null;
  /** Their links still storage keys. */
  readonly attachments: Message['attachments'] | null;
}

/** What most messages have nothing of. */
interface MessageMore {
  readonly type: Message['type'];
  readonly metadata: Record<string, unknown> | null;
  readonly mentions: string[] | null;
  readonly reply_to: string | null;
  readonly thread_root: string | null;
  readonly updated_at: string;
  readonly edited_at: string | null;
  readonly deleted_at: string | null;
  readonly pinned: boolean;
  readonly reactions: Message['reactions'] | null;
}

const REACTION_USERS_MAX = 50; // the newest of each emoji (PROTOCOL §1): what a message costs stays bounded

/**
 * The select list of a {@link MessageRow}, for `from messages m join users u on u.id = m.user_id`. Each column of each
 * row costs the driver about as much as the database: what few messages have comes as one (docs/performance.md). A
 * message without reactions isn't looked up for any; one with many costs a range of an index for each emoji. To find
 * that there are no attachments takes a third of what it takes to sort and gather none; not by `exists`, of which a plan
 * made while the table is small reads all attachments into a hash.
 */
export function messageColumns(db: Db | Tx) {
  return db`
    m.id, m.room_id, m.user_id, u.username, m.seq_no, m.rev, m.content, m.created_at::text as created_at,
    case when num_nonnulls(m.metadata, m.mentions, m.reply_to, m.thread_root, m.edited_at, m.deleted_at) > 0
      or m.type <> 'text' or m.pinned or m.reaction_kinds > 0 or m.updated_at <> m.created_at
    then json_build_object('type', m.type, 'metadata', m.metadata, 'mentions', m.mentions, 'reply_to', m.reply_to,
      'thread_root', m.thread_root, 'updated_at', m.updated_at::text, 'edited_at', m.edited_at::text,
      'deleted_at', m.deleted_at::text, 'pinned', m.pinned,
      'reactions', case when m.reaction_kinds > 0 then (
        select json_agg(json_build_object('emoji', c.emoji, 'count', c.count, 'user_ids', array(
            select r.user_id from reactions r where r.message_id = m.id and r.emoji = c.emoji
            order by r.rev desc limit ${REACTION_USERS_MAX}
          )) order by c.first_rev)
        from reaction_counts c where c.message_id = m.id
      ) end
    ) end as more,
    (select t.count from thread_counts t where t.root_id = m.id) as thread_count,
    case when m.deleted_at is null and (select true from attachments a where a.message_id = m.id limit 1) then (
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
  const { more } = row;
  const created_at = timestampOf(row.created_at);
  const edited_at = more?.edited_at ?? null;
  const deleted_at = more?.deleted_at ?? null;
  const deleted = deleted_at !== null;
  return {
    id: row.id,
    room_id: row.room_id,
    user_id: row.user_id,
    username: row.username,
    seq_no: row.seq_no,
    rev: row.rev,
    type: more?.type ?? 'text',
    content: deleted ? '' : row.content,
    metadata: deleted ? {} : (more?.metadata ?? {}),
    mentions: deleted ? [] : (more?.mentions ?? []),
    reply_to: more?.reply_to ?? null,
    thread_root: more?.thread_root ?? null,
    thread_count: row.thread_count ?? 0,
    edited: edited_at !== null,
    edited_at: edited_at === null ? null : timestampOf(edited_at),
    pinned: !deleted && (more?.pinned ?? false),
    reactions: deleted ? [] : (more?.reactions ?? []),
    attachments: deleted ? [] : (row.attachments ?? []),
    created_at,
    updated_at: more === null ? created_at : timestampOf(more.updated_at),
    deleted_at: deleted ? timestampOf(deleted_at) : null,
  };
}

/**
 * A `timestamptz::text` in RFC 3339 with milliseconds. Sessions are in UTC (`openDatabase`), where the digits are there
 * already: to parse and to write a date takes five times as long.
 */
export function timestampOf(text: string): string {
  const inUtc = text.endsWith('+00') && text[10] === ' ';
  if (!inUtc) return new Date(text).toISOString();
  const milliseconds = text.slice(20, -3).slice(0, 3).padEnd(3, '0'); // trailing zeros aren't written
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${milliseconds}Z`;
}
