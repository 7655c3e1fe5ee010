import type { RoomId, UserId } from '../protocol/ids.js';
import type { Member, Role } from '../protocol/model.js';
import type { Keyset, NewMember, Placed } from '../rooms/room-store-port.js';
import { type Db, run, type Tx } from './client.js';

interface MemberRow {
  readonly user_id: string;
  readonly username: string;
  readonly avatar_url: string | null;
  readonly role: Role;
  readonly joined_at: Date;
  readonly last_read_seq: number;
  readonly muted_until: Date | null;
}

/** The select list of a {@link MemberRow}, for `from room_members rm join users u on u.id = rm.user_id`. */
function memberColumns(db: Db | Tx) {
  return db`rm.user_id, u.username, u.avatar_url, rm.role, rm.joined_at, rm.last_read_seq, rm.muted_until`;
}

function toMember(row: MemberRow): Member {
  return {
    user_id: row.user_id,
    username: row.username,
    avatar_url: row.avatar_url,
    role: row.role,
    joined_at: row.joined_at.toISOString(),
    last_read_seq: row.last_read_seq,
    muted_until: row.muted_until?.toISOString() ?? null,
  };
}

/** A room's members after a place, the earliest first, at most `limit`. @throws StoreUnavailable */
export async function memberPage(
  db: Db | Tx,
  room_id: RoomId,
  after: Keyset | null,
  limit: number,
): Promise<Placed<Member>[]> {
  const beyond =
    after === null
      ? db``
      : db`and (joined_at, user_id) > (timestamptz 'epoch' + ${after.at_us} * interval '1 microsecond', ${after.id})`;
  const rows = await run(db<(MemberRow & { at_us: number })[]>`
    with rm as materialized (
      select * from room_members where room_id = ${room_id} ${beyond} order by joined_at, user_id limit ${limit}
    )
    select ${memberColumns(db)}, (extract(epoch from rm.joined_at) * 1000000)::bigint as at_us
    from rm join users u on u.id = rm.user_id
    order by rm.joined_at, rm.user_id`);
  return rows.map((row) => ({ entry: toMember(row), place: { at_us: row.at_us, id: row.user_id } }));
}

/** The members of a room among these users, in any order. @throws StoreUnavailable */
export async function membersOf(
  db: Db | Tx,
  room_id: RoomId,
  user_ids: readonly UserId[],
): Promise<Member[]> {
  const rows = await run(db<MemberRow[]>`
    select ${memberColumns(db)}
    from room_members rm join users u on u.id = rm.user_id
    where rm.room_id = ${room_id} and rm.user_id = any (${[...user_ids]}::uuid[])`);
  return rows.map(toMember);
}

/** How many admins a room has. @throws StoreUnavailable */
export async function countAdmins(db: Db | Tx, room_id: RoomId): Promise<number> {
  const [row] = await run(db<{ admins: number }[]>`
    select count(*) as admins from room_members where room_id = ${room_id} and role = 'admin'`);
  return row?.admins ?? 0;
}

/** Those of the ids that are no account, or a deleted one's. @throws StoreUnavailable */
export async function unknownUsers(db: Db | Tx, user_ids: readonly UserId[]): Promise<UserId[]> {
  const rows = await run(db<{ id: UserId }[]>`
    select asked.id from unnest(${[...user_ids]}::uuid[]) as asked (id)
    where not exists (select from users u where u.id = asked.id and u.deleted_at is null)`);
  return rows.map((row) => row.id);
}

/**
 * The members a new room starts with; its member_count was set with it. The lock on the users keeps their accounts
 * from being deleted meanwhile.
 * @returns how many of them there are
 * @throws StoreUnavailable
 */
export async function insertFirstMembers(
  tx: Tx,
  room_id: RoomId,
  members: readonly NewMember[],
): Promise<number> {
  const inserted = await run(tx`
    insert into room_members (room_id, user_id, role)
    select ${room_id}, u.id, new.role
    from unnest(
      ${members.map((member) => member.user_id)}::uuid[], ${members.map((member) => member.role)}::text[]
    ) as new (user_id, role)
    join users u on u.id = new.user_id and u.deleted_at is null
    for share of u`);
  return inserted.count;
}

/**
 * Adds members who have read everything so far, and counts them. The clock is read under the room's lock, so
 * that joined_at is in the order of the commits and a list read page by page misses nobody. A mute that one of
 * them left behind goes on. The lock on the users keeps their accounts from being deleted meanwhile.
 * @returns without those who aren't users
 * @throws StoreUnavailable; a unique violation for somebody who is a member
 */
export async function insertMembers(
  tx: Tx,
  room_id: RoomId,
  members: readonly NewMember[],
): Promise<Member[]> {
  if (members.length === 0) return [];
  const rows = await run(tx<MemberRow[]>`
    with new as (
      select * from unnest(
        ${members.map((member) => member.user_id)}::uuid[], ${members.map((member) => member.role)}::text[]
      ) with ordinality as n (user_id, role, ord)
    ), kept as (
      delete from kept_mutes k using new
      where k.room_id = ${room_id} and k.user_id = new.user_id
      returning k.user_id, k.muted_until
    ), rm as (
      insert into room_members (room_id, user_id, role, joined_at, last_read_seq, muted_until)
      select h.room_id, u.id, new.role, clock_timestamp(), h.head_seq,
        (select k.muted_until from kept k where k.user_id = u.id and new.role <> 'admin')
      from new
      join users u on u.id = new.user_id and u.deleted_at is null
      join room_heads h on h.room_id = ${room_id}
      order by new.ord
      for share of u
      returning *
    ), counted as (
      update rooms set member_count = member_count + (select count(*) from rm)
      where id = ${room_id} and exists (select from rm)
    )
    select ${memberColumns(tx)} from rm join users u on u.id = rm.user_id order by rm.joined_at, rm.user_id`);
  return rows.map(toMember);
}

/**
 * Removes a member, if he is one, counts him out, and keeps his mute for when he comes back.
 * @returns when, epoch ms: after he joined, and before he can join again
 * @throws StoreUnavailable
 */
export async function deleteMember(tx: Tx, room_id: RoomId, user_id: UserId): Promise<number> {
  const [row] = await run(tx<{ removed_ms: number }[]>`
    with gone as (
      delete from room_members where room_id = ${room_id} and user_id = ${user_id}
      returning room_id, user_id, muted_until
    ), kept as (
      insert into kept_mutes (room_id, user_id, muted_until)
      select room_id, user_id, muted_until from gone where muted_until > clock_timestamp()
      on conflict (room_id, user_id) do update set muted_until = excluded.muted_until
    ), counted as (
      update rooms set member_count = member_count - 1 where id in (select room_id from gone)
    )
    select extract(epoch from clock_timestamp())::float8 * 1000 as removed_ms`);
  return row?.removed_ms ?? 0;
}

/** Sets a member's role and mute (RFC 3339 or null). @throws StoreUnavailable */
export async function updateMember(
  tx: Tx,
  room_id: RoomId,
  user_id: UserId,
  set: Pick<Member, 'role' | 'muted_until'>,
): Promise<void> {
  await run(tx`
    update room_members set role = ${set.role}, muted_until = ${set.muted_until}::timestamptz
    where room_id = ${room_id} and user_id = ${user_id}`);
}
