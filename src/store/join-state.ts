import type { RoomId, UserId } from '../protocol/ids.js';
import type { JoinState } from '../rooms/reading-port.js';
import { type Db, run, type Tx } from './client.js';

type JoinRow = JoinState | { readonly room_type: null };

/**
 * A user's state in rooms, in their order, of one snapshot; null where the room doesn't exist or is deleted. A `limit`
 * keeps each lookup by itself: joined as one, tables without statistics were read whole.
 * @throws StoreUnavailable
 */
export async function joinStates(
  db: Db | Tx,
  user_id: UserId,
  rooms: readonly RoomId[],
): Promise<(JoinState | null)[]> {
  if (rooms.length === 0) return [];
  const rows = await run(db<JoinRow[]>`
    select r.id as room_id, r.type as room_type, rm.role, coalesce(rm.last_read_seq, 0) as last_read_seq,
      coalesce(extract(epoch from rm.joined_at)::float8 * 1000, 0) as joined_ms,
      r.head_seq, r.head_rev, r.member_count
    from unnest(${[...rooms]}::uuid[]) with ordinality as i (room_id, ord)
    left join lateral (
      select r.id, r.type, r.member_count, h.head_seq, h.head_rev
      from rooms r join room_heads h on h.room_id = r.id
      where r.id = i.room_id and r.deleted_at is null limit 1
    ) r on true
    left join lateral (
      select role, last_read_seq, joined_at from room_members
      where room_id = r.id and user_id = ${user_id} limit 1
    ) rm on true
    order by i.ord`);
  return rows.map((row) => (row.room_type === null ? null : { ...row }));
}
