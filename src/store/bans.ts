import type { RoomId, UserId } from '../protocol/ids.js';
import type { Ban } from '../protocol/model.js';
import type { Keyset, NewBan, Placed } from '../rooms/room-store-port.js';
import { type Db, run, type Tx } from './client.js';

interface BanRow extends Omit<Ban, 'created_at'> {
  readonly created_at: Date;
}

/** The select list of a {@link BanRow}, for `from bans b join users u on u.id = b.user_id`. */
function banColumns(db: Db | Tx) {
  return db`b.user_id, u.username, b.reason, b.banned_by, b.created_at`;
}

function toBan(row: BanRow): Ban {
  const { user_id, username, reason, banned_by, created_at } = row;
  return { user_id, username, reason, banned_by, created_at: created_at.toISOString() };
}

/** The bans of these users, in any order. @throws StoreUnavailable */
export async function bansOf(db: Db | Tx, room_id: RoomId, user_ids: readonly UserId[]): Promise<Ban[]> {
  const rows = await run(db<BanRow[]>`
    select ${banColumns(db)} from bans b join users u on u.id = b.user_id
    where b.room_id = ${room_id} and b.user_id = any (${[...user_ids]}::uuid[])`);
  return rows.map(toBan);
}

/** Bans somebody; an existing ban takes the reason, if one is given. Null for no such user. @throws StoreUnavailable */
export async function putBan(tx: Tx, room_id: RoomId, ban: NewBan): Promise<Ban | null> {
  const [row] = await run(tx<BanRow[]>`
    with b as (
      insert into bans (room_id, user_id, reason, banned_by, created_at)
      select ${room_id}, u.id, ${ban.reason}, ${ban.banned_by}, clock_timestamp()
      from users u where u.id = ${ban.user_id} and u.deleted_at is null
      on conflict (room_id, user_id) do update set reason = coalesce(excluded.reason, bans.reason)
      returning *
    )
    select ${banColumns(tx)} from b join users u on u.id = b.user_id`);
  return row === undefined ? null : toBan(row);
}

/** @throws StoreUnavailable */
export async function deleteBan(tx: Tx, room_id: RoomId, user_id: UserId): Promise<void> {
  await run(tx`delete from bans where room_id = ${room_id} and user_id = ${user_id}`);
}

/** A room's bans after a place, the latest first, at most `limit`. @throws StoreUnavailable */
export async function banPage(
  db: Db | Tx,
  room_id: RoomId,
  after: Keyset | null,
  limit: number,
): Promise<Placed<Ban>[]> {
  const beyond =
    after === null
      ? db``
      : db`and (b.created_at, b.user_id)
             < (timestamptz 'epoch' + ${after.at_us} * interval '1 microsecond', ${after.id})`;
  const rows = await run(db<(BanRow & { at_us: number })[]>`
    select ${banColumns(db)}, (extract(epoch from b.created_at) * 1000000)::bigint as at_us
    from bans b join users u on u.id = b.user_id
    where b.room_id = ${room_id} ${beyond}
    order by b.created_at desc, b.user_id desc limit ${limit}`);
  return rows.map((row) => ({ entry: toBan(row), place: { at_us: row.at_us, id: row.user_id } }));
}
