import type { MovedMark, ReadMark } from '../rooms/ports.js';
import { type Db, run, type Tx } from './client.js';

/**
 * Moves watermarks forward, never back and never past the room's head. Repeats are fine (the highest counts);
 * users that are no members are passed over. Rows are locked in their order, so that batches don't deadlock.
 * @returns those that moved, as they stand now
 * @throws StoreUnavailable
 */
export async function advanceReadMarks(db: Db | Tx, marks: readonly ReadMark[]): Promise<MovedMark[]> {
  if (marks.length === 0) return [];
  return run(db<MovedMark[]>`
    with input as (
      select room_id, user_id, max(seq_no) as seq_no
      from unnest(
        ${marks.map((mark) => mark.room_id)}::uuid[],
        ${marks.map((mark) => mark.user_id)}::uuid[],
        ${marks.map((mark) => mark.seq_no)}::bigint[]
      ) as i (room_id, user_id, seq_no)
      group by room_id, user_id
    ), locked as (
      select rm.room_id, rm.user_id, least(i.seq_no, h.head_seq) as seq_no
      from input i
      join room_heads h on h.room_id = i.room_id
      join room_members rm on rm.room_id = i.room_id and rm.user_id = i.user_id
      where rm.last_read_seq < least(i.seq_no, h.head_seq)
      order by rm.room_id, rm.user_id
      for no key update of rm
    )
    update room_members rm set last_read_seq = greatest(rm.last_read_seq, l.seq_no)
    from locked l join rooms r on r.id = l.room_id
    where rm.room_id = l.room_id and rm.user_id = l.user_id
    returning rm.room_id, rm.user_id, rm.last_read_seq as seq_no, r.member_count`);
}
