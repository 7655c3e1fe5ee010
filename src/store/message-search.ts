import type { MessageHit, MessageSearch, ParsedQuery } from '../http/message-search-port.js';
import type { RoomId } from '../protocol/ids.js';
import { type Db, run, type Tx } from './client.js';
import { type MessageRow, messageColumns, toMessage } from './message-rows.js';

/**
 * Search in a room's messages (migration 000019), newest first, in three steps:
 *
 *   those whose words aren't written yet, by their content, WALK_MAX after the other ──page full──► done
 *        └──none left──► the next WALK_MAX, one by one ──page full──► done
 *             └──not full──► by the index of words, a segment of SEGMENT numbers after the other ──page full──► done
 *                              └──room at its end──► done
 *   BUDGET_MS spent in the first or the last ──► done, and goes on from there when asked for the next page
 *
 * The index can't be read in order: all matches of a segment are fetched and sorted. Where words are frequent the
 * second step fills the page; where they aren't, a segment holds few. So neither grows with the room.
 */
export const WALK_MAX = 1_000; // messages: some 1 ms by their words, 16 by their content
const SEGMENT = 8_192; // as in `searched_words`
const SEGMENTS_GROWTH = 4; // from one on, as long as it stays below STEP_MS
const STEP_MS = 2.5; // a statement of several segments should take no longer
const BUDGET_MS = 4; // of the ten in which a search answers: a phrase of frequent words could read the whole room
const SEGMENTS_MAX = 64; // those that come may be dearer than those before told

/** The {@link MessageSearch} over a pool. */
export function messageSearch(db: Db): MessageSearch {
  return {
    parse: (room_id, q) => parse(db, room_id, q),
    find: (room_id, query, range) => find(db, room_id, query, range),
  };
}

async function parse(db: Db, room_id: RoomId, q: string): Promise<ParsedQuery> {
  const [row] = await run(db<Omit<ParsedQuery, 'words'>[]>`
    select websearch_to_tsquery('parley', translate(${q}, '<&', '  '))::text as text,
      coalesce((select head_seq from room_heads where room_id = ${room_id}), 0) as head_seq,
      coalesce((select indexed_seq from search_progress where room_id = ${room_id}), 0) as indexed_seq`);
  const { text, head_seq, indexed_seq } = row ?? { text: '', head_seq: 0, indexed_seq: 0 };
  return { text, words: text.match(/'(?:[^']|'')*'/g)?.length ?? 0, head_seq, indexed_seq };
}

async function find(
  db: Db,
  room_id: RoomId,
  { text: query, indexed_seq }: Pick<ParsedQuery, 'text' | 'indexed_seq'>,
  { before, limit }: { readonly before: number; readonly limit: number },
): ReturnType<MessageSearch['find']> {
  const hits: MessageHit[] = [];
  let reached = before;
  let begun = performance.now();
  const isLate = () => performance.now() - begun > BUDGET_MS;

  /** Numbers from `floor` on. */
  const look = async (read: typeof fresh, floor: number): Promise<void> => {
    const rows = await run(read(db, { room_id, query, before: reached, floor, limit: limit - hits.length }));
    hits.push(...rows.map(toHit));
    reached = floor;
  };
  while (hits.length < limit && reached > indexed_seq + 1) {
    if (reached < before && isLate()) return { hits, reached };
    await look(fresh, Math.max(reached - WALK_MAX, indexed_seq + 1));
  }
  if (hits.length < limit && reached > 1) await look(walk, Math.max(reached - WALK_MAX, 1));
  begun = performance.now();
  const walked = reached;
  for (let segments = 1; hits.length < limit && reached > 1; ) {
    if (reached < walked && isLate()) return { hits, reached };
    const started = performance.now();
    const top = Math.floor((reached - 1) / SEGMENT);
    const bottom = Math.max(0, top - segments + 1);
    const wanted = { room_id, query, before: reached, limit: limit - hits.length, bottom };
    const older = await run(lookUp(db, wanted));
    hits.push(...older.map(toHit));
    reached = bottom * SEGMENT;
    const growth = Math.min(STEP_MS / (performance.now() - started), SEGMENTS_GROWTH);
    segments = Math.min(Math.max(1, Math.floor(segments * growth)), SEGMENTS_MAX);
  }
  return { hits, reached: null };
}

interface HitRow extends MessageRow {
  readonly marked: string;
}

interface Wanted {
  readonly room_id: RoomId;
  readonly query: string;
  readonly before: number;
  readonly limit: number;
}

interface Range extends Wanted {
  readonly floor: number;
}

/** `offset 0` keeps the condition on words out of the inner select, so that it is read by number. */
function fresh(db: Db, { room_id, query, before, floor, limit }: Range) {
  return db<HitRow[]>`
    with hits as materialized (
      select m.seq_no from (
        select seq_no, content from messages
        where room_id = ${room_id} and seq_no < ${before} and seq_no >= ${floor} and deleted_at is null
        order by seq_no desc offset 0
      ) m
      where words_of(m.content) @@ ${query}::tsquery limit ${limit}
    ) ${marked(db, room_id, query)}`;
}

function walk(db: Db, { room_id, query, before, floor, limit }: Range) {
  return db<HitRow[]>`
    with hits as materialized (
      select w.seq_no from (
        select seq_no, search from message_words
        where room_id = ${room_id} and seq_no < ${before} and seq_no >= ${floor}
        order by seq_no desc offset 0
      ) w
      where w.search @@ ${query}::tsquery and w.search <> ''::tsvector limit ${limit}
    ) ${marked(db, room_id, query)}`;
}

/**
 * By the index: room and segment are one of the words. A condition of their own, and not one query with the others,
 * lets the index skip from match to match of the two (15 times faster for a frequent word beside an uncommon one).
 */
export function lookUp(
  db: Db | Tx,
  { room_id, query, before, limit, bottom }: Wanted & { readonly bottom: number },
) {
  return db<HitRow[]>`
    with hits as materialized (
      select found.seq_no
      from generate_series(${Math.floor((before - 1) / SEGMENT)}::bigint, ${bottom}::bigint, -1) as segment
      cross join lateral (
        select seq_no from message_words
        where search @@ (${`'\u0001${room_id}/`}::text || segment || '''')::tsquery
          and search @@ ${query}::tsquery and seq_no < ${before}
        order by seq_no desc limit ${limit}
      ) found
      limit ${limit}
    ) ${marked(db, room_id, query)}`;
}

/** The hits with their matches between U+0001 and U+0002; what the parser would take for markup is blanked. */
function marked(db: Db | Tx, room_id: RoomId, query: string) {
  return db`
    select ${messageColumns(db)},
      ts_headline('parley', translate(m.content, E'\x01\x02<&', '    '), ${query}::tsquery,
        E'HighlightAll=true, StartSel=\x01, StopSel=\x02') as marked
    from hits join messages m on m.room_id = ${room_id} and m.seq_no = hits.seq_no
      join users u on u.id = m.user_id
    order by m.seq_no desc`;
}

function toHit({ marked, ...row }: HitRow): MessageHit {
  return { message: toMessage(row), marked };
}
