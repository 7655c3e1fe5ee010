import type { DiscoveryPlace } from '../http/discovery-port.js';
import type { Room } from '../protocol/model.js';
import { type Db, run } from './client.js';
import { type RoomRow, roomColumns, toRoom } from './rooms.js';

/**
 * Public rooms after a place, the largest first, at most `limit`; each half of it has an index (migration 000006).
 * @param words letters and digits only, as the query's syntax has no other way to hold them
 * @throws StoreUnavailable
 */
export async function discoverRooms(
  db: Db,
  words: readonly string[] | null,
  after: DiscoveryPlace | null,
  limit: number,
): Promise<Room[]> {
  const matching =
    words === null
      ? db``
      : db`and to_tsvector('simple',
             translate(r.name || ' ' || coalesce(r.description, ''), '.-_/@:+&<', '         '))
             @@ to_tsquery('simple', ${words.map((word) => `${word}:*`).join(' & ')})`;
  const beyond =
    after === null
      ? db``
      : db`and r.member_count <= ${after.member_count}
           and (r.member_count < ${after.member_count} or r.id > ${after.id})`;
  const rows = await run(db<RoomRow[]>`
    with found as materialized (
      select r.id from rooms r
      where r.type = 'public' and r.deleted_at is null ${matching} ${beyond}
      order by r.member_count desc, r.id
      limit ${limit}
    )
    select ${roomColumns(db)}
    from found join rooms r on r.id = found.id join room_heads h on h.room_id = r.id
    order by r.member_count desc, r.id`);
  return rows.map(toRoom);
}
