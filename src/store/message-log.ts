import { Refusal } from '../protocol/errors.js';
import type { MessageId, RoomId } from '../protocol/ids.js';
import { BadRow, DuplicateIds, LogUnavailable } from '../rooms/log-errors-port.js';
import type {
  AskedAfter,
  KnownMessage,
  LoggedMessage,
  MessageLog,
  MessagesAfter,
  MessageTarget,
  NamedMember,
  NewMessage,
  RoomBase,
  RoomHead,
} from '../rooms/ports.js';
import { attachmentsOf, claimable } from './attachments.js';
import { type Db, run, StoreUnavailable, sqlState, violatedConstraint } from './client.js';
import { detachFiles } from './detached-files.js';
import { deleteMessages, editMessages } from './message-changes.js';
import { type MessageRow, messageColumns, storedSize, toMessage } from './message-rows.js';
import { pinMessages, unpinMessages } from './pins.js';
import { addReactions, removeReactions } from './reactions.js';

/** The {@link MessageLog} on PostgreSQL. Every writer locks `room_heads` rows first, in room-id order. */
export function messageLog(db: Db): MessageLog {
  return {
    insert: (messages, created_at) => guarded(insertMessages(db, messages, created_at)),
    known: (ids) => guarded(knownMessages(db, ids)),
    targets: (ids) => guarded(messageTargets(db, ids)),
    claimable: (ids) => guarded(claimable(db, ids)),
    attachmentsOf: (message_id) => guarded(attachmentsOf(db, message_id)),
    members: (wanted) => guarded(namedMembers(db, wanted)),
    edit: (orders, at) => guarded(editMessages(db, orders, at)),
    delete: (orders, at) => guarded(deleteMessages(db, orders, at)),
    addReaction: (orders, at) => guarded(addReactions(db, orders, at)),
    removeReaction: (orders) => guarded(removeReactions(db, orders)),
    pin: (orders, at) => guarded(pinMessages(db, orders, at)),
    unpin: (orders) => guarded(unpinMessages(db, orders)),
    detach: (orders, at) => guarded(detachFiles(db, orders, at)),
    heads: (room_ids) => guarded(roomHeads(db, room_ids)),
    messagesAfter: (asked, limit) => guarded(messagesAfter(db, asked, limit)),
    changesAfter: (room_id, rev, limit) => guarded(changesAfter(db, room_id, rev, limit)),
  };
}

/** Translates what the store throws into what the port promises. */
async function guarded<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof StoreUnavailable) throw new LogUnavailable(error);
    if (violatedConstraint(error) === 'messages_pkey') throw new DuplicateIds(error);
    if (sqlState(error) === CLAIMED) throw new Refusal('not_found', { field: 'attachment_ids' });
    if (isRefusal(sqlState(error))) throw new BadRow(error);
    throw error;
  }
}

/** 22: data exceptions; 54: limits, such as nesting; 23514: a check, such as the size of jsonb's own text. */
function isRefusal(state: string | null): boolean {
  return state !== null && (/^(22|54)...$/.test(state) || state === '23514');
}

const CLAIMED = 'PA001'; // raised by require_claims, migration 000008

interface BaseRow {
  readonly room_id: RoomId;
  readonly base_seq: number;
  readonly base_rev: number;
}

/**
 * One statement: the rows' locks, the counters, the rows. What waits for a lock sees the counters as they are
 * once it has it, because `update` reads the newest version of a row, not the snapshot's.
 */
async function insertMessages(
  db: Db,
  messages: readonly NewMessage[],
  created_at: Date,
): Promise<Map<RoomId, RoomBase>> {
  if (messages.length === 0) return new Map();
  const { counts, ords } = ordinals(messages);
  const rooms = [...counts.keys()];
  const rows = await run(db<BaseRow[]>`
    with input as (
      select * from unnest(${rooms}::uuid[], ${[...counts.values()]}::int[]) as i (room_id, n)
    ), locked as (
      select h.room_id from room_heads h
      where h.room_id = any (${rooms}::uuid[]) and not h.closed
      order by h.room_id for update
    ), bumped as (
      update room_heads h
      set head_seq = h.head_seq + i.n, head_rev = h.head_rev + i.n,
          last_activity_at = greatest(h.last_activity_at, ${created_at}::timestamptz)
      from locked l join input i on i.room_id = l.room_id
      where h.room_id = l.room_id
      returning h.room_id, h.head_seq - i.n as base_seq, h.head_rev - i.n as base_rev
    ), inserted as (
      insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, metadata, mentions,
        reply_to, thread_root, body_hash, created_at, updated_at)
      select m.id, m.room_id, m.user_id, b.base_seq + m.ord, b.base_rev + m.ord, b.base_rev + m.ord, m.content,
        m.metadata::jsonb, m.mentions::uuid[], m.reply_to, m.thread_root, decode(m.body_hash, 'hex'), ${created_at}::timestamptz,
        ${created_at}::timestamptz
      from unnest(
        ${messages.map((message) => message.id)}::uuid[],
        ${messages.map((message) => message.room_id)}::uuid[],
        ${messages.map((message) => message.user_id)}::uuid[],
        ${ords}::int[],
        ${messages.map((message) => message.content)}::text[],
        ${messages.map((message) => message.metadata)}::text[],
        ${messages.map(({ mentions }) => (mentions.length === 0 ? null : `{${mentions.join(',')}}`))}::text[],
        ${messages.map((message) => message.reply_to)}::uuid[],
        ${messages.map((message) => message.thread_root)}::uuid[],
        ${messages.map((message) => message.body_hash)}::text[]
      ) as m (id, room_id, user_id, ord, content, metadata, mentions, reply_to, thread_root, body_hash)
      join bumped b on b.room_id = m.room_id
    )${countedReplies(db, messages)}${claimedAttachments(db, messages)}`);
  return new Map(rows.map((row) => [row.room_id, { seq: row.base_seq, rev: row.base_rev }]));
}

/** Counts replies at their roots; a batch without any is a statement without this part. */
function countedReplies(db: Db, messages: readonly NewMessage[]) {
  const replies = messages.filter(({ thread_root }) => thread_root !== null);
  if (replies.length === 0) return db``;
  return db`, counted as (
      insert into thread_counts as t (root_id, count)
      select m.thread_root, count(*)
      from unnest(
        ${replies.map(({ room_id }) => room_id)}::uuid[], ${replies.map(({ thread_root }) => thread_root)}::uuid[]
      ) as m (room_id, thread_root)
      join bumped b on b.room_id = m.room_id
      group by m.thread_root
      on conflict (root_id) do update set count = t.count + excluded.count
    )`;
}

/** Claims attachments, all or nothing is inserted; a batch without any is a statement without this part. */
function claimedAttachments(db: Db, messages: readonly NewMessage[]) {
  const claims = messages.flatMap(({ id: message_id, room_id, user_id, attachment_ids = [] }) =>
    attachment_ids.map((id, position) => ({ id, message_id, room_id, user_id, position })),
  );
  if (claims.length === 0) return db` select room_id, base_seq, base_rev from bumped`;
  return db`, wanted as (
      select c.* from unnest(
        ${claims.map(({ id }) => id)}::uuid[], ${claims.map(({ message_id }) => message_id)}::uuid[],
        ${claims.map(({ room_id }) => room_id)}::uuid[], ${claims.map(({ user_id }) => user_id)}::uuid[],
        ${claims.map(({ position }) => position)}::smallint[]
      ) as c (id, message_id, room_id, user_id, position)
      join bumped b on b.room_id = c.room_id
    ), claimed as (
      update attachments a
      set state = 'attached', due_at = null, message_id = w.message_id, position = w.position
      from wanted w
      where a.id = w.id and a.room_id = w.room_id and a.user_id = w.user_id and a.state = 'ready'
      returning a.id
    ), checked as materialized (
      select require_claims((select count(*) from claimed), (select count(*) from wanted))
    )
    select room_id, base_seq, base_rev from bumped, checked`;
}

/** Members by name, in one statement for all rooms. */
async function namedMembers(
  db: Db,
  wanted: readonly { readonly room_id: RoomId; readonly name: string }[],
): Promise<NamedMember[]> {
  return run(db<NamedMember[]>`
    select w.room_id, w.name, u.id as user_id
    from unnest(${wanted.map(({ room_id }) => room_id)}::uuid[], ${wanted.map(({ name }) => name)}::text[])
      as w (room_id, name)
    join users u on lower(u.username) = w.name and u.deleted_at is null
    join room_members rm on rm.room_id = w.room_id and rm.user_id = u.id`);
}

/** How many messages each room has in the batch, and each message's number among its room's, from 1. */
function ordinals(messages: readonly NewMessage[]): { counts: Map<RoomId, number>; ords: number[] } {
  const counts = new Map<RoomId, number>();
  const ords = messages.map(({ room_id }) => {
    const ord = (counts.get(room_id) ?? 0) + 1;
    counts.set(room_id, ord);
    return ord;
  });
  return { counts, ords };
}

interface KnownRow extends Omit<KnownMessage, 'created_at'> {
  readonly created_at: Date;
}

async function knownMessages(db: Db, ids: readonly MessageId[]): Promise<KnownMessage[]> {
  if (ids.length === 0) return [];
  const rows = await run(db<KnownRow[]>`
    select id, room_id, user_id, seq_no, created_rev as rev, created_at, coalesce(mentions, '{}') as mentions,
      encode(body_hash, 'hex') as body_hash
    from messages where id = any (${[...ids]}::uuid[])`);
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
}

/** Those of the ids that exist in rooms that do. @throws StoreUnavailable */
export async function messageTargets(db: Db, ids: readonly MessageId[]): Promise<MessageTarget[]> {
  if (ids.length === 0) return [];
  return await run(db<MessageTarget[]>`
    select m.id, m.room_id, m.user_id, m.deleted_at is not null as deleted, rm.role as author_role
    from messages m
    join rooms r on r.id = m.room_id and r.deleted_at is null
    left join room_members rm on rm.room_id = m.room_id and rm.user_id = m.user_id
    where m.id = any (${[...ids]}::uuid[])`);
}

async function roomHeads(db: Db, room_ids: readonly RoomId[]): Promise<RoomHead[]> {
  if (room_ids.length === 0) return [];
  return await run(db<RoomHead[]>`
    select room_id, head_seq, head_rev from room_heads
    where room_id = any (${[...room_ids]}::uuid[]) and not closed`);
}

type AtHead<Row> = { readonly head_seq: number; readonly head_rev: number } & (Row | { readonly id: null });

type AfterRow = AtHead<MessageRow & { readonly next_rev: number | null }> & { readonly ord: number };

async function messagesAfter(db: Db, asked: readonly AskedAfter[], limit: number): Promise<MessagesAfter[]> {
  if (asked.length === 0) return [];
  const rows = await run(db<AfterRow[]>`
    select i.ord, h.head_seq, h.head_rev, c.*
    from unnest(
      ${asked.map(({ room_id }) => room_id)}::uuid[], ${asked.map(({ rev }) => rev)}::bigint[],
      ${asked.map(({ bytes }) => bytes)}::bigint[]
    ) with ordinality as i (room_id, rev, bytes, ord)
    cross join lateral (
      select head_seq, head_rev from room_heads where room_id = i.room_id and not closed limit 1
    ) h
    left join lateral (
      select ${messageColumns(db)}, m.next_rev
      from (
        select m.*, lead(m.rev) over walk as next_rev, sum(${storedSize(db)}) over walk as bytes_before
        from messages m
        where m.room_id = i.room_id and m.rev > i.rev
        window walk as (order by m.rev rows between unbounded preceding and 1 preceding)
        order by m.rev limit ${limit}
      ) m join users u on u.id = m.user_id
      where coalesce(m.bytes_before, 0) < i.bytes
    ) c on true
    order by i.ord, c.rev`);
  const found = new Map<number, AfterRow[]>();
  for (const row of rows) {
    const same = found.get(row.ord);
    if (same === undefined) found.set(row.ord, [row]);
    else same.push(row);
  }
  return asked.map(({ room_id }, i) => {
    const ofRoom = found.get(i + 1) ?? [];
    const last = ofRoom.at(-1);
    return {
      head: headOf(room_id, ofRoom),
      messages: ofRoom.flatMap((row) => (row.id === null ? [] : [toMessage(row)])),
      more: last !== undefined && last.id !== null && last.next_rev !== null,
    };
  });
}

type ChangeRow = MessageRow &
  Omit<LoggedMessage, 'message' | 'marks'> & { readonly marks: LoggedMessage['marks'] | null };

async function changesAfter(
  db: Db,
  room_id: RoomId,
  rev: number,
  limit: number,
): Promise<{ head: RoomHead | null; changes: LoggedMessage[] }> {
  const rows = await run(db<AtHead<ChangeRow>[]>`
    select h.head_seq, h.head_rev, c.*
    from room_heads h
    left join lateral (
      select ${messageColumns(db)}, m.created_rev, array(
        select e.rev from message_edits e where e.message_id = m.id and e.rev > ${rev} order by e.rev
      ) as edit_revs, k.marks
      from messages m join users u on u.id = m.user_id
      left join (
        select message_id, json_agg(json_strip_nulls(json_build_object(
          'rev', rev, 'type', kind, 'user_id', user_id, 'emoji', emoji, 'count', count))) as marks
        from message_changes where room_id = ${room_id} and rev > ${rev} and rev <= ${rev + limit}
        group by message_id
      ) k on k.message_id = m.id
      where m.room_id = h.room_id and m.rev > ${rev} and h.head_rev <= ${rev + limit}
    ) c on true
    where h.room_id = ${room_id} and not h.closed
    order by c.rev`);
  const changes = rows.flatMap((row) => {
    if (row.id === null) return [];
    const { created_rev, edit_revs, marks } = row;
    return [{ message: toMessage(row), created_rev, edit_revs, marks: marks ?? [] }];
  });
  return { head: headOf(room_id, rows), changes };
}

/** null: the room is gone. */
function headOf(room_id: RoomId, rows: readonly Omit<RoomHead, 'room_id'>[]): RoomHead | null {
  const [first] = rows;
  return first === undefined ? null : { room_id, head_seq: first.head_seq, head_rev: first.head_rev };
}
