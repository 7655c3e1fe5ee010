import { type AttachmentId, newId } from '../protocol/ids.js';
import type { ChangeOutcome, DetachOrder } from '../rooms/ports.js';
import { auditedFiles } from './audit-log.js';
import { type Db, run } from './client.js';
import { bumpHeads, changeMessages, nextRev, type OutcomeRow } from './message-changes.js';

/**
 * Takes files off messages, each message at most once. It isn't an edit: the text and when it was edited stay. What
 * isn't attached to the message (any more) changes nothing.
 *
 * @param isAudited whether somebody does it, and moderators are to read of it
 */
export function detachFiles(
  db: Db,
  orders: readonly DetachOrder[],
  at: Date,
  isAudited = true,
): Promise<ChangeOutcome[]> {
  const entries = ({ attachment_ids }: DetachOrder) => (isAudited ? attachment_ids.map(() => newId()) : []);
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (
        select i.*, h.head_rev, exists (
          select from attachments a
          where a.message_id = m.id and a.state = 'attached' and a.id = any (i.attachment_ids::uuid[])
        ) as changed
        from unnest(
          ${orders.map((order) => order.id)}::uuid[],
          ${orders.map((order) => order.room_id)}::uuid[],
          ${orders.map((order) => order.user_id)}::uuid[],
          ${orders.map(({ attachment_ids }) => arrayOf(attachment_ids))}::text[],
          ${orders.map((order) => arrayOf(entries(order)))}::text[]
        ) with ordinality as i (id, room_id, user_id, attachment_ids, entry_ids, ord)
        join messages m on m.id = i.id and m.room_id = i.room_id and m.deleted_at is null
        join room_heads h on h.room_id = m.room_id and not h.closed
      ), numbered as (
        select id, room_id, user_id, attachment_ids, entry_ids, ord, ${nextRev(tx)} as rev from found where changed
      ), ${bumpHeads(tx)}, logged as (
        insert into message_changes (room_id, rev, message_id, kind, user_id)
        select room_id, rev, id, 'message_updated', user_id from numbered
      ), gone as (
        update attachments a set state = 'deleting', due_at = now()
        from numbered n, unnest(n.attachment_ids::uuid[], n.entry_ids::uuid[]) as f (id, entry_id)
        where a.message_id = n.id and a.state = 'attached' and a.id = f.id
        returning a.*, n.user_id as actor_id, f.entry_id
      ), ${auditedFiles(tx)}, updated as (
        update messages m set rev = n.rev, updated_at = ${at}::timestamptz from numbered n where m.id = n.id
      )
      select f.ord::int, n.rev, false as full, 0 as count
      from found f left join numbered n on n.ord = f.ord`,
  );
}

function arrayOf(ids: readonly string[]): string {
  return `{${ids.join(',')}}`;
}

interface DueRow extends Omit<DetachOrder, 'attachment_ids'> {
  readonly attachment_ids: AttachmentId[];
}

/**
 * Takes off their messages the files that are due, which are those of removed accounts.
 * @param limit files in one transaction: some milliseconds in which their rooms take no message
 * @returns how many messages it changed; call again until it is 0
 * @throws StoreUnavailable
 */
export async function detachDue(db: Db, limit: number): Promise<number> {
  const orders = await run(db<DueRow[]>`
    select message_id as id, room_id, user_id, array_agg(id) as attachment_ids
    from (
      select id, message_id, room_id, user_id from attachments
      where due_at <= now() and state = 'attached' order by due_at limit ${limit}
    ) due
    group by message_id, room_id, user_id`);
  const outcomes = await detachFiles(db, orders, new Date(), false);
  return outcomes.filter((outcome) => outcome !== null && outcome !== 'full' && outcome.rev !== null).length;
}
