import type { RoomId, UserId } from '../protocol/ids.js';
import type { Message, MyRoom, Role, Room, RoomType } from '../protocol/model.js';
import type { Keyset, NewRoom, Placed, RoomView } from '../rooms/room-store-port.js';
import { type Db, run, type Tx } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

export interface RoomRow {
  readonly id: RoomId;
  readonly name: string | null;
  readonly description: string | null;
  readonly type: RoomType;
  readonly created_by: string | null;
  readonly slow_mode_s: number;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly member_count: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** A room with one user's membership; `role` is null where there is none. */
interface MyRoomRow extends RoomRow {
  readonly role: Role | null;
  readonly last_read_seq: number | null;
  readonly mention_count: number;
}

/** The select list of a {@link RoomRow}, for `from rooms r join room_heads h on h.room_id = r.id`. */
export function roomColumns(db: Db | Tx) {
  return db`
    r.id, r.name, r.description, r.type, r.created_by, r.slow_mode_s, h.head_seq, h.head_rev, r.member_count,
    r.created_at, r.updated_at`;
}

/**
 * Unread messages that mention a member `rm`. What is read is skipped by the index on (room_id, seq_no), so
 * that a room without unread messages costs one probe. `mentions is not null` lets a partial index serve.
 */
function mentionCount(db: Db | Tx, user_id: UserId) {
  return db`(
    select count(*) from messages m
    where m.room_id = rm.room_id and m.seq_no > rm.last_read_seq
      and m.mentions is not null and ${user_id}::uuid = any (m.mentions) and m.deleted_at is null
  ) as mention_count`;
}

export function toRoom(row: RoomRow): Room {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    type: row.type,
    created_by: row.created_by,
    slow_mode_s: row.slow_mode_s,
    head_seq: row.head_seq,
    head_rev: row.head_rev,
    member_count: row.member_count,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

function toMyRoom(row: MyRoomRow, last: ReadonlyMap<string, Message>): MyRoom | null {
  if (row.role === null || row.last_read_seq === null) return null;
  return {
    ...toRoom(row),
    role: row.role,
    last_read_seq: row.last_read_seq,
    unread_count: Math.max(row.head_seq - row.last_read_seq, 0),
    mention_count: row.mention_count,
    last_message: last.get(row.id) ?? null,
  };
}

/** A room, or null when it doesn't exist or is deleted. @throws StoreUnavailable */
export async function roomById(db: Db | Tx, room_id: RoomId): Promise<Room | null> {
  const [row] = await run(db<RoomRow[]>`
    select ${roomColumns(db)} from rooms r join room_heads h on h.room_id = r.id
    where r.id = ${room_id} and r.deleted_at is null`);
  return row === undefined ? null : toRoom(row);
}

/** The room of a pair, or null. @throws StoreUnavailable */
export async function roomByDirectKey(db: Db | Tx, direct_key: string): Promise<Room | null> {
  const [row] = await run(db<RoomRow[]>`
    select ${roomColumns(db)} from rooms r join room_heads h on h.room_id = r.id
    where r.direct_key = ${direct_key} and r.deleted_at is null`);
  return row === undefined ? null : toRoom(row);
}

/** A room as a user sees it, or null when it doesn't exist or is deleted. @throws StoreUnavailable */
export async function roomView(db: Db | Tx, room_id: RoomId, user_id: UserId): Promise<RoomView | null> {
  const [row] = await run(db<MyRoomRow[]>`
    select ${roomColumns(db)}, rm.role, rm.last_read_seq, ${mentionCount(db, user_id)}
    from rooms r join room_heads h on h.room_id = r.id
    left join room_members rm on rm.room_id = r.id and rm.user_id = ${user_id}
    where r.id = ${room_id} and r.deleted_at is null`);
  if (row === undefined) return null;
  if (row.role === null) return { room: toRoom(row), mine: null };
  return { room: toRoom(row), mine: toMyRoom(row, await lastMessages(db, [row])) };
}

/** A user's rooms after a place, the most recently active first, at most `limit`. @throws StoreUnavailable */
export async function myRooms(
  db: Db | Tx,
  user_id: UserId,
  after: Keyset | null,
  limit: number,
): Promise<Placed<MyRoom>[]> {
  const beyond =
    after === null
      ? db``
      : db`and (h.last_activity_at, h.room_id)
             < (timestamptz 'epoch' + ${after.at_us} * interval '1 microsecond', ${after.id})`;
  const rows = await run(db<(MyRoomRow & { at_us: number })[]>`
    with rm as materialized (
      select rm.room_id, rm.role, rm.last_read_seq, h.last_activity_at
      from room_members rm
      join rooms r on r.id = rm.room_id and r.deleted_at is null
      join room_heads h on h.room_id = rm.room_id
      where rm.user_id = ${user_id} ${beyond}
      order by h.last_activity_at desc, h.room_id desc
      limit ${limit}
    )
    select ${roomColumns(db)}, rm.role, rm.last_read_seq, ${mentionCount(db, user_id)},
      (extract(epoch from rm.last_activity_at) * 1000000)::bigint as at_us
    from rm join rooms r on r.id = rm.room_id join room_heads h on h.room_id = rm.room_id
    order by rm.last_activity_at desc, rm.room_id desc`);
  const last = await lastMessages(db, rows);
  return rows.flatMap((row) => {
    const entry = toMyRoom(row, last);
    return entry === null ? [] : [{ entry, place: { at_us: row.at_us, id: row.id } }];
  });
}

/** The message at the head of each room, by room id; rooms without messages are missing. @throws StoreUnavailable */
async function lastMessages(
  db: Db | Tx,
  rooms: readonly Pick<RoomRow, 'id' | 'head_seq'>[],
): Promise<Map<string, Message>> {
  if (rooms.every((room) => room.head_seq === 0)) return new Map();
  const rows = await run(db<MessageRow[]>`
    select ${messageColumns(db)}
    from unnest(${rooms.map((room) => room.id)}::uuid[], ${rooms.map((room) => room.head_seq)}::bigint[])
      as head (room_id, seq_no)
    join messages m on m.room_id = head.room_id and m.seq_no = head.seq_no
    join users u on u.id = m.user_id`);
  return new Map(rows.map((row) => [row.room_id, toMessage(row)]));
}

/**
 * Inserts a room unless its direct key exists; waits for whoever is just inserting the same key.
 * @returns whether it was inserted
 * @throws StoreUnavailable
 */
export async function insertRoom(tx: Tx, room: NewRoom, member_count: number): Promise<boolean> {
  const rows = await run(tx`
    insert into rooms (id, name, description, type, created_by, direct_key, member_count)
    values (${room.id}, ${room.name}, ${room.description}, ${room.type}, ${room.created_by},
      ${room.direct_key}, ${member_count})
    on conflict (direct_key) do nothing
    returning id`);
  return rows.length === 1;
}

/** How many rooms a user has made, direct ones apart; counted no further than `enough`. @throws StoreUnavailable */
export async function roomsMadeBy(db: Db, user_id: UserId, enough: number): Promise<number> {
  const [row] = await run(db<{ made: number }[]>`
    select count(*)::int as made from (
      select 1 from rooms where created_by = ${user_id} and deleted_at is null and type <> 'direct' limit ${enough}
    ) as theirs`);
  return row?.made ?? 0;
}

/** The counters of a new room. @throws StoreUnavailable */
export async function insertHead(tx: Tx, room_id: RoomId): Promise<void> {
  await run(tx`insert into room_heads (room_id) values (${room_id})`);
}

/** Locks a room against all other changes of it, until the transaction ends; null when there is none. @throws StoreUnavailable */
export async function lockRoom(tx: Tx, room_id: RoomId): Promise<RoomType | null> {
  const [row] = await run(tx<{ type: RoomType }[]>`
    select type from rooms where id = ${room_id} and deleted_at is null for update`);
  return row?.type ?? null;
}

/** @throws StoreUnavailable */
export async function updateDetails(
  tx: Tx,
  room_id: RoomId,
  set: Pick<Room, 'name' | 'description' | 'slow_mode_s'>,
): Promise<void> {
  await run(tx`
    update rooms
    set name = ${set.name}, description = ${set.description}, slow_mode_s = ${set.slow_mode_s},
      updated_at = clock_timestamp()
    where id = ${room_id}`);
}

/** Marks a room deleted; a direct room's pair may then open another. @throws StoreUnavailable */
export async function markDeleted(tx: Tx, room_id: RoomId): Promise<void> {
  await run(tx`
    update rooms
    set deleted_at = clock_timestamp(), updated_at = clock_timestamp(),
      direct_key = direct_key || ':deleted:' || id
    where id = ${room_id}`);
}

/** Closes a room's log: messages that come after find no room. @throws StoreUnavailable */
export async function closeHead(tx: Tx, room_id: RoomId): Promise<void> {
  await run(tx`update room_heads set closed = true where room_id = ${room_id}`);
}
