import { REACTION_KINDS_MAX } from '../protocol/requests.js';
import type { ChangeOutcome, ReactionOrder } from '../rooms/ports.js';
import type { Db, Tx } from './client.js';
import { bumpHeads, changeMessages, nextRev, type OutcomeRow } from './message-changes.js';

/**
 * Reactions are rows, so that they commute, and counted beside, so that reading a message doesn't count them.
 * A statement may hold many of one message: each takes its own rev and its own count.
 */

/** Adds reactions, each (message, user, emoji) at most once; what is there already changes nothing. */
export function addReactions(db: Db, orders: readonly ReactionOrder[], at: Date): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (${found(tx, orders)}
      ), kinds as (
        select id, emoji, row_number() over (partition by id order by min(ord)) as nth
        from found where not exists_already and had is null group by id, emoji
      ), judged as (
        select f.*, f.had is null and f.reaction_kinds + k.nth > ${REACTION_KINDS_MAX} as beyond
        from found f left join kinds k on k.id = f.id and k.emoji = f.emoji
      ), numbered as (
        select id, room_id, user_id, emoji, ord, ${nextRev(tx)} as rev,
          coalesce(had, 0) + row_number() over (partition by id, emoji order by ord) as count
        from judged where not exists_already and beyond is not true
      ), ${bumpHeads(tx)}, stored as (
        insert into reactions (message_id, user_id, emoji, rev, created_at)
        select id, user_id, emoji, rev, ${at}::timestamptz from numbered
      ), counted as (
        insert into reaction_counts as c (message_id, emoji, count, first_rev)
        select id, emoji, max(count), min(rev) from numbered group by id, emoji
        on conflict (message_id, emoji) do update set count = excluded.count
      ), ${logged(tx, 'reaction_added')}, updated as (
        update messages m set rev = n.rev, reaction_kinds = m.reaction_kinds + n.kinds
        from (
          select id, max(rev) as rev, count(*) filter (where count = 1) as kinds from numbered group by id
        ) n
        where m.id = n.id
      )
      select j.ord::int, n.rev, j.beyond is true and not j.exists_already as full,
        coalesce(n.count, j.had, 0)::int as count
      from judged j left join numbered n on n.ord = j.ord`,
  );
}

/** Takes reactions back, each (message, user, emoji) at most once; what isn't there changes nothing. */
export function removeReactions(db: Db, orders: readonly ReactionOrder[]): Promise<ChangeOutcome[]> {
  return changeMessages(
    db,
    orders,
    (tx) => tx<OutcomeRow[]>`
      with found as (${found(tx, orders)}
      ), numbered as (
        select id, room_id, user_id, emoji, ord, ${nextRev(tx)} as rev,
          had - row_number() over (partition by id, emoji order by ord) as count
        from found where exists_already
      ), ${bumpHeads(tx)}, removed as (
        delete from reactions r using numbered n
        where r.message_id = n.id and r.user_id = n.user_id and r.emoji = n.emoji
      ), left_over as (
        select id, emoji, min(count) as count from numbered group by id, emoji
      ), lowered as (
        update reaction_counts c set count = l.count from left_over l
        where c.message_id = l.id and c.emoji = l.emoji and l.count > 0
      ), ended as (
        delete from reaction_counts c using left_over l
        where c.message_id = l.id and c.emoji = l.emoji and l.count = 0
      ), ${logged(tx, 'reaction_removed')}, updated as (
        update messages m set rev = n.rev, reaction_kinds = m.reaction_kinds - n.kinds
        from (
          select id, max(rev) as rev, count(*) filter (where count = 0) as kinds from numbered group by id
        ) n
        where m.id = n.id
      )
      select f.ord::int, n.rev, false as full, coalesce(n.count, f.had, 0)::int as count
      from found f left join numbered n on n.ord = f.ord`,
  );
}

/** The orders whose message is there, with how many of the emoji it has (null: none). */
function found(tx: Tx, orders: readonly ReactionOrder[]) {
  return tx`
    select i.*, h.head_rev, m.reaction_kinds, c.count as had, r.rev is not null as exists_already
    from unnest(
      ${orders.map((order) => order.id)}::uuid[],
      ${orders.map((order) => order.room_id)}::uuid[],
      ${orders.map((order) => order.user_id)}::uuid[],
      ${orders.map((order) => order.emoji)}::text[]
    ) with ordinality as i (id, room_id, user_id, emoji, ord)
    join messages m on m.id = i.id and m.room_id = i.room_id and m.deleted_at is null
    join room_heads h on h.room_id = m.room_id and not h.closed
    left join reaction_counts c on c.message_id = i.id and c.emoji = i.emoji
    left join reactions r on r.message_id = i.id and r.user_id = i.user_id and r.emoji = i.emoji`;
}

function logged(tx: Tx, kind: 'reaction_added' | 'reaction_removed') {
  return tx`
    logged as (
      insert into message_changes (room_id, rev, message_id, kind, user_id, emoji, count)
      select room_id, rev, id, ${kind}, user_id, emoji, count from numbered
    )`;
}
