import type { MessageId, RoomId } from '../protocol/ids.js';
import type { Message, RoomType } from '../protocol/model.js';
import { type Db, run, type Tx } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

/** A place in a room's history; `before` and `after` leave the message at `seq` out. */
export interface HistoryCursor {
  readonly kind: 'before' | 'after' | 'around';
  readonly seq: number;
}

/**
 * A page of a room's messages with tombstones, newest first; without a cursor the newest. `after` gives those
 * nearest to the cursor. `around` centres on it, the odd one out below, and stays full at either end.
 * @throws StoreUnavailable
 */
export async function history(
  db: Db | Tx,
  room_id: RoomId,
  page: { readonly cursor: HistoryCursor | null; readonly limit: number },
): Promise<Message[]> {
  const { above, upTo } = range(page.cursor, page.limit);
  const rows = await run(db<MessageRow[]>`
    select ${messageColumns(db)} from messages m join users u on u.id = m.user_id
    where m.room_id = ${room_id} and m.seq_no > ${above} and m.seq_no <= ${upTo}
    order by m.seq_no desc limit ${page.limit}`);
  return rows.map(toMessage);
}

/** The range whose newest `limit` messages are the page: plain arithmetic, as `seq_no` has no gaps. */
function range(cursor: HistoryCursor | null, limit: number): { above: number; upTo: number } {
  if (cursor === null) return { above: 0, upTo: Number.MAX_SAFE_INTEGER };
  const { kind, seq } = cursor;
  switch (kind) {
    case 'before':
      return { above: 0, upTo: seq - 1 };
    case 'after':
      return { above: Math.max(seq, 0), upTo: Math.max(seq, 0) + limit };
    case 'around':
      return { above: 0, upTo: Math.max(seq + Math.floor(limit / 2), limit) };
    default:
      return kind satisfies never;
  }
}

/** The number of a room's message; null where the room has no such message. @throws StoreUnavailable */
export async function seqOf(db: Db | Tx, room_id: RoomId, id: MessageId): Promise<number | null> {
  const [row] = await run(db<{ seq_no: number }[]>`
    select seq_no from messages where id = ${id} and room_id = ${room_id}`);
  return row?.seq_no ?? null;
}

/** A message and what its room is, or null: unknown, or in a deleted room. @throws StoreUnavailable */
export async function messageById(
  db: Db | Tx,
  id: MessageId,
): Promise<{ message: Message; room_id: RoomId; room_type: RoomType } | null> {
  const [row] = await run(db<(MessageRow & { readonly room_type: RoomType })[]>`
    select ${messageColumns(db)}, r.type as room_type
    from messages m
    join users u on u.id = m.user_id
    join rooms r on r.id = m.room_id and r.deleted_at is null
    where m.id = ${id}`);
  if (row === undefined) return null;
  return { message: toMessage(row), room_id: row.room_id as RoomId, room_type: row.room_type };
}

/** The room of a message, or null: unknown, or in a deleted room. @throws StoreUnavailable */
export async function roomOf(db: Db | Tx, id: MessageId): Promise<RoomId | null> {
  const [row] = await run(db<{ room_id: RoomId }[]>`
    select m.room_id from messages m join rooms r on r.id = m.room_id and r.deleted_at is null
    where m.id = ${id}`);
  return row?.room_id ?? null;
}
