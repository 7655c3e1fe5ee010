import type { RoomId } from '../protocol/ids.js';
import { type Db, run, type Tx } from './client.js';

/** A room's messages in number, none of whose words are written. */
export interface RoomBehind {
  readonly room_id: RoomId;
  readonly behind: number;
}

/**
 * Writes the words of messages that have none (migration 000019), of each room the oldest first.
 *
 *   lock what nobody else has ──► read and write, in a snapshot that is younger than the locks
 *
 * @param limit messages of a room, at most
 * @returns of each room whose turn it was, how many are left; rooms that others have are left out
 * @throws StoreUnavailable
 */
export function writeWords(db: Db, rooms: readonly RoomId[], limit: number): Promise<RoomBehind[]> {
  return run(
    db.begin(async (tx) => {
      const locked = await lockProgress(tx, rooms);
      return locked.length === 0 ? [] : [...(await writeFresh(tx, locked, limit))];
    }),
  );
}

interface Progress {
  readonly room_id: RoomId;
  readonly indexed_seq: number;
}

/** Never waits: who changes a message has its room, and waits for nobody meanwhile. */
function lockProgress(tx: Tx, rooms: readonly RoomId[]) {
  return tx<Progress[]>`
    select room_id, indexed_seq from search_progress where room_id = any (${[...rooms]}::uuid[])
    for update skip locked`;
}

function writeFresh(tx: Tx, locked: readonly Progress[], limit: number) {
  return tx<RoomBehind[]>`
    with asked as materialized (
      select a.room_id, a.indexed_seq, h.head_seq
      from unnest(
        ${locked.map(({ room_id }) => room_id)}::uuid[], ${locked.map(({ indexed_seq }) => indexed_seq)}::bigint[]
      ) as a (room_id, indexed_seq)
      cross join lateral (select head_seq from room_heads where room_id = a.room_id limit 1) h
    ), fresh as materialized (
      select a.room_id, m.seq_no, m.content, m.deleted_at from asked a cross join lateral (
        select seq_no, content, deleted_at from messages
        where room_id = a.room_id and seq_no > a.indexed_seq order by seq_no limit ${limit}
      ) m
    ), written as (
      insert into message_words (room_id, seq_no, search)
      select room_id, seq_no, searched_words(room_id, seq_no, content, deleted_at) from fresh
      on conflict do nothing
    ), reached as materialized (
      select a.room_id, a.head_seq, case when f.count = ${limit} then f.last else a.head_seq end as seq
      from asked a
      left join (select room_id, count(*), max(seq_no) as last from fresh group by room_id) f using (room_id)
    ), moved as (
      update search_progress p set indexed_seq = r.seq from reached r
      where p.room_id = r.room_id and p.indexed_seq < r.seq
    )
    select room_id, head_seq - seq as behind from reached`;
}

/**
 * Rooms with messages that have no words: whoever was to write them is gone, or the words were dropped for another
 * language. It reads a row of every room. @throws StoreUnavailable
 */
export async function roomsBehind(db: Db, limit: number): Promise<RoomBehind[]> {
  return [
    ...(await run(db<RoomBehind[]>`
      select p.room_id, h.head_seq - p.indexed_seq as behind
      from search_progress p join room_heads h on h.room_id = p.room_id
      where h.head_seq > p.indexed_seq and not h.closed
      limit ${limit}`)),
  ];
}

/**
 * Moves what has been written since into the index of words itself, from the list that holds it until then and that
 * every search reads. Others write on meanwhile; who asks for it at the same time waits. @throws StoreUnavailable
 */
export async function mergeWords(db: Db): Promise<void> {
  await run(db`select gin_clean_pending_list('message_words_search_idx')`);
}
