import type { RoomId, UserId } from '../protocol/ids.js';
import { inBatches } from './batches.js';
import { type Db, run } from './client.js';
import { type Doomed, makeTombstones, TOMBSTONES_BATCH } from './tombstones.js';

/** The rooms that a user would leave without an admin. @throws StoreUnavailable */
export async function roomsOfLastAdmin(db: Db, user_id: UserId): Promise<RoomId[]> {
  const rows = await run(db<{ room_id: RoomId }[]>`
    select mine.room_id
    from room_members mine join rooms r on r.id = mine.room_id and r.deleted_at is null and r.type <> 'direct'
    where mine.user_id = ${user_id} and mine.role = 'admin'
      and exists (
        select from room_members o join users u on u.id = o.user_id and u.deleted_at is null
        where o.room_id = mine.room_id and o.user_id <> mine.user_id
      )
      and not exists (
        select from room_members o join users u on u.id = o.user_id and u.deleted_at is null
        where o.room_id = mine.room_id and o.user_id <> mine.user_id and o.role = 'admin'
      )
    order by mine.room_id`);
  return rows.map(({ room_id }) => room_id);
}

/**
 * Deletes all messages of a user as he could himself, each with a rev of its own: members see it, and numbers stay.
 * May be repeated: it goes on where it was interrupted. Reads the whole table, as nothing is found by its author.
 *
 * @returns how many messages it blanked
 * @throws StoreUnavailable
 */
export async function eraseMessages(db: Db, user_id: UserId): Promise<number> {
  let erased = 0;
  const own = db<Doomed[]>`
    select m.id, m.room_id, m.user_id, h.closed from messages m join room_heads h on h.room_id = m.room_id
    where m.user_id = ${user_id} and m.deleted_at is null`;
  for await (const rows of inBatches(db, own, TOMBSTONES_BATCH)) {
    await makeTombstones(db, rows);
    erased += rows.length;
  }
  return erased;
}
