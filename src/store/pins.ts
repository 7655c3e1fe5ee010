import { newId, type RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { PINS_MAX } from '../protocol/requests.js';
import type { ChangeOutcome, PinOrder } from '../rooms/ports.js';
import { audited } from './audit-log.js';
import { type Db, run, type Tx } from './client.js';
import { bumpHeads, changeMessages, nextRev, type OutcomeRow } from './message-changes.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

/** Pins messages, each at most once; one that is pinned stays as it was. */
export function pinMessages(db: Db, orders: readonly PinOrder[], at: Date): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (${found(tx, orders)}
      ), judged as (
        select f.*, not pinned
            and row_number() over (partition by room_id, pinned order by ord)
              + (select count(*) from pins p where p.room_id = f.room_id) > ${PINS_MAX} as beyond
        from found f
      ), numbered as (
        select id, room_id, user_id, entry_id, ord, ${nextRev(tx)} as rev from judged where not pinned and not beyond
      ), ${bumpHeads(tx)}, stored as (
        insert into pins (message_id, room_id, pinned_by, pinned_at, rev)
        select id, room_id, user_id, ${at}::timestamptz, rev from numbered
      ), ${logged(tx, 'message_pinned')}, ${audited(tx, 'message_pinned')}, updated as (
        update messages m set rev = n.rev, pinned = true from numbered n where m.id = n.id
      )
      select j.ord::int, n.rev, j.beyond as full, 0 as count
      from judged j left join numbered n on n.ord = j.ord`,
  );
}

/** Unpins messages, each at most once. */
export function unpinMessages(db: Db, orders: readonly PinOrder[]): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (${found(tx, orders)}
      ), numbered as (
        select id, room_id, user_id, entry_id, ord, ${nextRev(tx)} as rev from found where pinned
      ), ${bumpHeads(tx)}, removed as (
        delete from pins p using numbered n where p.message_id = n.id
      ), ${logged(tx, 'message_unpinned')}, ${audited(tx, 'message_unpinned')}, updated as (
        update messages m set rev = n.rev, pinned = false from numbered n where m.id = n.id
      )
      select f.ord::int, n.rev, false as full, 0 as count
      from found f left join numbered n on n.ord = f.ord`,
  );
}

function found(tx: Tx, orders: readonly PinOrder[]) {
  return tx`
    select i.*, h.head_rev, m.pinned
    from unnest(
      ${orders.map((order) => order.id)}::uuid[],
      ${orders.map((order) => order.room_id)}::uuid[],
      ${orders.map((order) => order.user_id)}::uuid[],
      ${orders.map(() => newId())}::uuid[]
    ) with ordinality as i (id, room_id, user_id, entry_id, ord)
    join messages m on m.id = i.id and m.room_id = i.room_id and m.deleted_at is null
    join room_heads h on h.room_id = m.room_id and not h.closed`;
}

function logged(tx: Tx, kind: 'message_pinned' | 'message_unpinned') {
  return tx`
    logged as (
      insert into message_changes (room_id, rev, message_id, kind, user_id)
      select room_id, rev, id, ${kind}, user_id from numbered
    )`;
}

/** A room's pinned messages, the latest pinned first; as many as a room can have. @throws StoreUnavailable */
export async function pinsOf(db: Db | Tx, room_id: RoomId): Promise<Message[]> {
  const rows = await run(db<MessageRow[]>`
    select ${messageColumns(db)}
    from pins p
    join messages m on m.id = p.message_id
    join users u on u.id = m.user_id
    where p.room_id = ${room_id}
    order by p.rev desc`);
  return rows.map(toMessage);
}
