import type { UserId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { inBatches } from './batches.js';
import { type Db, run } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

const CURSOR_ROWS = 500; // some 300 KB in memory

/** A record of an export: what it is, and its columns or members. */
export type ExportRecord = Readonly<Record<string, unknown>> & { readonly record: string };

/** A message as members see it; of its attachments what they are, without where they lie. */
export function exportedMessage(row: MessageRow): ExportRecord {
  const message: Message = toMessage(row);
  return {
    record: 'message',
    ...message,
    attachments: message.attachments.map(({ storage_url: _, thumbnail_url: __, ...rest }) => rest),
  };
}

/**
 * All that is kept of a user, in batches, without secrets: his profile, sessions, memberships, bans, messages with what
 * they said before, reactions, attachments and the reports that he made. Reads whole tables, as nothing of all
 * rooms is found by its author.
 *
 * @throws StoreUnavailable
 */
export async function* userRecords(db: Db, user_id: UserId): AsyncGenerator<readonly ExportRecord[]> {
  yield labelled(
    'profile',
    await run(db`
      select id, username, email, avatar_url, status, last_seen_at, created_at, updated_at, deleted_at
      from users where id = ${user_id}`),
  );
  yield labelled(
    'session',
    await run(db`
      select id, device, created_at, last_used_at, expires_at, revoked_at from sessions
      where user_id = ${user_id} order by created_at`),
  );
  yield labelled(
    'membership',
    await run(db`
      select m.room_id, r.type as room_type, r.name as room_name, m.role, m.joined_at, m.last_read_seq, m.muted_until
      from room_members m join rooms r on r.id = m.room_id where m.user_id = ${user_id} order by m.joined_at`),
  );
  yield labelled(
    'ban',
    await run(
      db`select room_id, reason, created_at from bans where user_id = ${user_id} order by created_at`,
    ),
  );
  const messages = db<MessageRow[]>`
    select ${messageColumns(db)} from messages m join users u on u.id = m.user_id where m.user_id = ${user_id}`;
  for await (const rows of inBatches(db, messages, CURSOR_ROWS)) yield rows.map(exportedMessage);
  const edits = db`
    select e.message_id, e.rev, e.content, e.edited_at
    from message_edits e join messages m on m.id = e.message_id where m.user_id = ${user_id}`;
  for await (const rows of inBatches(db, edits, CURSOR_ROWS)) yield labelled('message_edit', rows);
  const reactions = db`select message_id, emoji, created_at from reactions where user_id = ${user_id}`;
  for await (const rows of inBatches(db, reactions, CURSOR_ROWS)) yield labelled('reaction', rows);
  const attachments = db`
    select id, message_id, room_id, state, file_name, file_type, file_size, width, height, created_at
    from attachments where user_id = ${user_id}`;
  for await (const rows of inBatches(db, attachments, CURSOR_ROWS)) yield labelled('attachment', rows);
  const reports = db`
    select id, message_id, room_id, reason, created_at from reports where reporter = ${user_id}`;
  for await (const rows of inBatches(db, reports, CURSOR_ROWS)) yield labelled('report', rows);
}

function labelled(record: string, rows: readonly Readonly<Record<string, unknown>>[]): ExportRecord[] {
  return rows.map((row) => ({ record, ...row }));
}
