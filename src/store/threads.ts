import type { MessageId } from '../protocol/ids.js';
import type { Message, MessageEdit } from '../protocol/model.js';
import { type Db, run, type Tx } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

const EDITS_LISTED_MAX = 100; // the latest: what a message said long ago is of little use

/**
 * The messages under a root whose number is above `after`, tombstones included, the earliest first.
 * @throws StoreUnavailable
 */
export async function thread(db: Db | Tx, root: MessageId, after: number, limit: number): Promise<Message[]> {
  const rows = await run(db<MessageRow[]>`
    select ${messageColumns(db)} from messages m join users u on u.id = m.user_id
    where m.thread_root = ${root} and m.seq_no > ${after}
    order by m.seq_no limit ${limit}`);
  return rows.map(toMessage);
}

/** What a message said before its edits, the latest edit first; nothing of a tombstone. @throws StoreUnavailable */
export async function editsOf(db: Db | Tx, id: MessageId): Promise<MessageEdit[]> {
  const rows = await run(db<{ rev: number; content: string; edited_at: Date }[]>`
    select e.rev, e.content, e.edited_at
    from message_edits e join messages m on m.id = e.message_id and m.deleted_at is null
    where e.message_id = ${id}
    order by e.rev desc limit ${EDITS_LISTED_MAX}`);
  return rows.map((row) => ({ ...row, edited_at: row.edited_at.toISOString() }));
}
