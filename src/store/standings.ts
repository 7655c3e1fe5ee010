import type { RoomId, UserId } from '../protocol/ids.js';
import type { Role, RoomType } from '../protocol/model.js';
import type { Standing, StandingReader } from '../rooms/ports.js';
import { type Db, run, type Tx } from './client.js';

interface StandingRow {
  readonly room_type: RoomType | null;
  readonly role: Role | null;
  readonly muted_until: Date | null;
  readonly slow_mode_s: number | null;
  readonly username: string | null;
  readonly member_count: number;
}

/**
 * What users are in rooms: one statement for all pairs, in their order, repeats allowed. Null where the room
 * doesn't exist or is deleted, and where the account doesn't or is: it stands nowhere. A `limit` keeps each lookup by
 * itself: joined as one, tables without statistics were read whole.
 * @throws StoreUnavailable
 */
export async function standings(
  db: Db | Tx,
  pairs: readonly { readonly room_id: RoomId; readonly user_id: UserId }[],
): Promise<(Standing | null)[]> {
  if (pairs.length === 0) return [];
  const rows = await run(db<StandingRow[]>`
    select r.type as room_type, rm.role, rm.muted_until, r.slow_mode_s, u.username, r.member_count
    from unnest(
      ${pairs.map((pair) => pair.room_id)}::uuid[], ${pairs.map((pair) => pair.user_id)}::uuid[]
    ) with ordinality as p (room_id, user_id, ord)
    left join lateral (
      select id, type, slow_mode_s, member_count from rooms where id = p.room_id and deleted_at is null limit 1
    ) r on true
    left join lateral (
      select role, muted_until from room_members where room_id = r.id and user_id = p.user_id limit 1
    ) rm on true
    left join lateral (
      select username from users where id = p.user_id and deleted_at is null limit 1
    ) u on true
    order by p.ord`);
  return rows.map(toStanding);
}

function toStanding(row: StandingRow): Standing | null {
  const { room_type, role, muted_until, slow_mode_s, username, member_count } = row;
  if (room_type === null || slow_mode_s === null || username === null) return null;
  return {
    room_type,
    role,
    username,
    slow_mode_s,
    member_count,
    muted_until: muted_until?.getTime() ?? null,
  };
}

/** The {@link StandingReader} over a pool. */
export function standingReader(db: Db): StandingReader {
  return { standings: (pairs) => standings(db, pairs) };
}
