import type { RoomId } from '../protocol/ids.js';
import { inBatches } from './batches.js';
import { type Db, run } from './client.js';
import { type MessageRow, messageColumns } from './message-rows.js';
import { type ExportRecord, exportedMessage } from './user-export.js';

const CURSOR_ROWS = 500; // some 500 KB in memory

/** Whether there is such a room, deleted or not. @throws StoreUnavailable */
export async function roomExists(db: Db, room_id: RoomId): Promise<boolean> {
  const rows = await run(db`select from rooms where id = ${room_id}`);
  return rows.count === 1;
}

/**
 * A room, and all its messages as they were at one moment, in the order of their numbers, tombstones included; in
 * batches. @throws StoreUnavailable
 */
export async function* roomRecords(db: Db, room_id: RoomId): AsyncGenerator<readonly ExportRecord[]> {
  const [room] = await run(db`
    select r.id, r.type, r.name, r.description, r.created_by, r.created_at, r.deleted_at, h.head_seq, h.head_rev
    from rooms r join room_heads h on h.room_id = r.id where r.id = ${room_id}`);
  yield [{ record: 'room', ...room }];
  const messages = db<MessageRow[]>`
    select ${messageColumns(db)} from messages m join users u on u.id = m.user_id
    where m.room_id = ${room_id} order by m.seq_no`;
  for await (const rows of inBatches(db, messages, CURSOR_ROWS)) yield rows.map(exportedMessage);
}
