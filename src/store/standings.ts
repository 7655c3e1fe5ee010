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
 * doesn't exist or is deleted, and where the account doesn't or is: it stands nowhere.
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
    left join rooms r on r.id = p.room_id and r.deleted_at is null
    left join room_members rm on rm.room_id = r.id and rm.user_id = p.user_id
    left join users u on u.id = p.user_id and u.deleted_at is null
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
