import { newId, type RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { ChangeOutcome, DeleteOrder, EditOrder, PinOrder } from '../rooms/ports.js';
import { audited } from './audit-log.js';
import { type Db, run, type Tx } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

/**
 * Changes of messages that exist: one transaction of three statements, sent together.
 *
 *   the rooms' locks ──► the change ──► the messages as they are now
 *
 * Each is a statement of its own for its snapshot: the second sees all that earlier owners of the locks
 * committed, the third what the second did. What the second is made of:
 *
 *   found     the orders whose message is there, with the head's rev, `ord` and `changed`
 *   numbered  those that change something, each with the rev it takes
 */
export interface OutcomeRow {
  /** The order's place, from 1; orders whose message isn't there have no row. */
  readonly ord: number;
  readonly rev: number | null;
  readonly full: boolean;
  readonly count: number;
}

type Order = Pick<PinOrder, 'id' | 'room_id'>;

/** Runs one kind of change. `statement` gives the change as an {@link OutcomeRow} for each order. */
export async function changeMessages(
  db: Db,
  orders: readonly Order[],
  statement: (tx: Tx) => Promise<readonly OutcomeRow[]>,
): Promise<ChangeOutcome[]> {
  if (orders.length === 0) return [];
  const [, rows, read] = await run(
    db.begin((tx) => [lockHeads(tx, orders), statement(tx), messagesOf(tx, orders)]),
  );
  const messages = new Map(read.map((row) => [row.id, toMessage(row)]));
  const byPlace = new Map(rows.map((row) => [row.ord, row]));
  return orders.map(({ id }, i) => outcomeOf(byPlace.get(i + 1), messages.get(id)));
}

function outcomeOf(row: OutcomeRow | undefined, message: Message | undefined): ChangeOutcome {
  if (row === undefined || message === undefined) return null;
  return row.full ? 'full' : { message, rev: row.rev, count: row.count };
}

function lockHeads(tx: Tx, orders: readonly Order[]) {
  const rooms = [...new Set(orders.map((order): RoomId => order.room_id))];
  return tx`
    select from room_heads where room_id = any (${rooms}::uuid[]) and not closed
    order by room_id for update`;
}

function messagesOf(tx: Tx, orders: readonly Order[]) {
  return tx<MessageRow[]>`
    select ${messageColumns(tx)} from messages m join users u on u.id = m.user_id
    where m.id = any (${orders.map(({ id }) => id)}::uuid[])`;
}

/** The revs of what changes: the head's next, each room's in the order of its orders. */
export function nextRev(tx: Tx) {
  return tx`head_rev + row_number() over (partition by room_id order by ord)`;
}

/** Raises the heads to the last rev of `numbered`. */
export function bumpHeads(tx: Tx) {
  return tx`
    bumped as (
      update room_heads h set head_rev = n.rev
      from (select room_id, max(rev) as rev from numbered group by room_id) n
      where h.room_id = n.room_id
    )`;
}

/** An {@link OutcomeRow} for each row of `found`, where there is no limit and nothing is counted. */
function plainOutcomes(tx: Tx) {
  return tx`
    select f.ord::int, n.rev, false as full, 0 as count
    from found f left join numbered n on n.ord = f.ord`;
}

/** Each message at most once; a tombstone isn't found. */
export function editMessages(db: Db, orders: readonly EditOrder[], at: Date): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (
        select m.id, m.room_id, m.content as old, i.content as new, i.ord, h.head_rev,
          m.content <> i.content as changed
        from unnest(
          ${orders.map((order) => order.id)}::uuid[],
          ${orders.map((order) => order.room_id)}::uuid[],
          ${orders.map((order) => order.content)}::text[]
        ) with ordinality as i (id, room_id, content, ord)
        join messages m on m.id = i.id and m.room_id = i.room_id and m.deleted_at is null
        join room_heads h on h.room_id = m.room_id and not h.closed
      ), numbered as (
        select id, room_id, old, new, ord, ${nextRev(tx)} as rev from found where changed
      ), ${bumpHeads(tx)}, kept as (
        insert into message_edits (message_id, rev, content, edited_at)
        select id, rev, old, ${at}::timestamptz from numbered
      ), updated as (
        update messages m
        set content = n.new, rev = n.rev, updated_at = ${at}::timestamptz, edited_at = ${at}::timestamptz
        from numbered n where m.id = n.id
      )
      ${plainOutcomes(tx)}`,
  );
}

/** Each message at most once. Its reactions and its pin go with it; the message it stood under counts one less. */
export function deleteMessages(db: Db, orders: readonly DeleteOrder[], at: Date): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (
        select i.*, m.thread_root, h.head_rev, m.deleted_at is null as changed
        from unnest(
          ${orders.map((order) => order.id)}::uuid[],
          ${orders.map((order) => order.room_id)}::uuid[],
          ${orders.map((order) => order.user_id)}::uuid[],
          ${orders.map(() => newId())}::uuid[]
        ) with ordinality as i (id, room_id, user_id, entry_id, ord)
        join messages m on m.id = i.id and m.room_id = i.room_id
        join room_heads h on h.room_id = m.room_id and not h.closed
      ), numbered as (
        select id, room_id, user_id, entry_id, thread_root, ord, ${nextRev(tx)} as rev from found where changed
      ), ${bumpHeads(tx)}, ${audited(tx, 'message_deleted')}, blanked as (
        update message_edits e set content = '' from numbered n where e.message_id = n.id
      ), unreacted as (
        delete from reactions r using numbered n where r.message_id = n.id
      ), uncounted as (
        delete from reaction_counts c using numbered n where c.message_id = n.id
      ), unpinned as (
        delete from pins p using numbered n where p.message_id = n.id
      ), lowered as (
        update thread_counts t set count = t.count - n.gone
        from (
          select thread_root, count(*) as gone from numbered where thread_root is not null group by thread_root
        ) n
        where t.root_id = n.thread_root
      ), updated as (
        update messages m
        set content = '', metadata = null, mentions = null, pinned = false, reaction_kinds = 0, rev = n.rev,
            updated_at = ${at}::timestamptz, deleted_at = ${at}::timestamptz
        from numbered n where m.id = n.id
      )
      ${plainOutcomes(tx)}`,
  );
}
