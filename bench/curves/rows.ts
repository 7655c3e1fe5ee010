import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RoomId } from '../../src/protocol/ids.js';
import { type Db, openDatabase, openToolDatabase } from '../../src/store/client.js';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { history } from '../../src/store/history.js';
import { joinStates } from '../../src/store/join-state.js';
import { messageLog } from '../../src/store/message-log.js';
import { messageSearch } from '../../src/store/message-search.js';
import { migrateUp } from '../../src/store/migrations.js';
import { advanceReadMarks } from '../../src/store/read-marks.js';
import { writeWords } from '../../src/store/search-index.js';
import { standings } from '../../src/store/standings.js';
import type { Say } from '../load/measure.js';
import { type Random, seededRandom } from '../load/random.js';
import { sentence, wordOf } from '../search/corpus.js';
import { type Corpus, createRooms, newMessages, writeAllWords } from '../search/fill.js';
import { explained, loadExplain } from './plans.js';

/** What statements on the path take when the table of messages has so many rows. Milliseconds. */
export interface RowsPoint {
  readonly rows: number;
  readonly statements: Readonly<Record<string, { readonly p50: number; readonly p99: number }>>;
  /** EXPLAIN (ANALYZE, BUFFERS) of each, where asked for. */
  readonly plans: Readonly<Record<string, string>>;
}

/** Makes a statement ready, and gives what is to be measured. */
type Prepare = () => Promise<() => Promise<unknown>>;
type Statements = Readonly<Record<string, Prepare>>;

const BATCH = 100; // messages in one insert, as a busy server's group commit takes
const FILL_STEP = 50_000;
const PAGE = 50;
const RESUME_ROOMS = 100;

/** Fills one table step by step, and times the server's own statements at each size. @param withPlans tells their plans */
export async function measureRows(
  sizes: readonly number[],
  times: number,
  withPlans: boolean,
  say: Say,
): Promise<RowsPoint[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-bench-rows-'));
  const cluster = await startEmbeddedPostgres({ dataDir, log: () => {} });
  try {
    await migrateUp(cluster.url);
    const filling = openToolDatabase(cluster.url, 'bench-rows-filling'); // waits as long as it takes
    const db = openDatabase(cluster.url, 1, 'bench-rows');
    const random = seededRandom(1);
    const corpus = await createRooms(filling);
    if (withPlans) {
      await filling`
        insert into room_members (room_id, user_id, role) select id, ${corpus.author}, 'member' from rooms`;
      await loadExplain(db);
    }
    const points: RowsPoint[] = [];
    let rows = 0;
    for (const size of [...sizes].sort((a, b) => a - b)) {
      for (; rows < size; rows += FILL_STEP) {
        await grow(filling, corpus, FILL_STEP, random);
        if (rows % 1_000_000 === 0) say(`rows: ${rows} of ${size}`);
      }
      await writeAllWords(filling);
      await filling.unsafe('vacuum analyze messages');
      await filling.unsafe('vacuum analyze message_words');
      await filling.unsafe('checkpoint');
      const timed = timedStatements(db, corpus, random);
      const statements = await timeStatements(db, timed, times);
      const plans = withPlans
        ? await explainStatements(db, join(dataDir, 'postgres.log'), {
            ...timed,
            ...otherStatements(db, corpus, random),
          })
        : {};
      points.push({ rows: size, statements, plans });
      say(`rows: ${size} measured`);
    }
    await Promise.all([db.end(), filling.end()]);
    return points;
  } finally {
    await cluster.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Appends messages in one statement, numbered as the log would: rooms in turn, a few texts over and over. */
async function grow(db: Db, { author, rooms }: Corpus, count: number, random: Random): Promise<void> {
  const texts = Array.from({ length: 500 }, () => sentence(random));
  const all = Object.values(rooms).flat();
  await db.begin(async (tx) => {
    await tx`
      with new as (
        select (${all}::uuid[])[1 + i % ${all.length}::int] as room_id, i / ${all.length}::int + 1 as ord,
          (${texts}::text[])[1 + (random() * 499)::int] as content
        from generate_series(0, ${count - 1}::int) as i
      ), heads as (
        select room_id, head_seq from room_heads
      ), inserted as (
        insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, body_hash, created_at, updated_at)
        select gen_random_uuid(), room_id, ${author}::uuid, head_seq + ord, head_seq + ord, head_seq + ord, content,
          ''::bytea, now(), now()
        from new join heads using (room_id)
        returning room_id, seq_no
      )
      update room_heads h set head_seq = m.head, head_rev = m.head
      from (select room_id, max(seq_no) as head from inserted group by room_id) m where m.room_id = h.room_id`;
  });
}

/** Picks any of the rooms, each as likely. */
function picking(rooms: readonly RoomId[], random: Random): () => RoomId {
  return () => rooms[Math.floor(random() * rooms.length)] as RoomId;
}

function timedStatements(db: Db, corpus: Corpus, random: Random): Statements {
  const log = messageLog(db);
  const search = messageSearch(db);
  const room = picking(Object.values(corpus.rooms).flat(), random);
  const headOf = async (room_id: RoomId) => (await log.heads([room_id]))[0]?.head_seq ?? 0;
  return {
    [`insert of ${BATCH}`]: async () => {
      const messages = newMessages(corpus, BATCH, random);
      return () => log.insert(messages, new Date());
    },
    'newest page': async () => {
      const room_id = room();
      return () => history(db, room_id, { cursor: null, limit: PAGE });
    },
    'page in the middle': async () => {
      const room_id = room();
      const seq = Math.ceil((await headOf(room_id)) / 2);
      return () => history(db, room_id, { cursor: { kind: 'before', seq }, limit: PAGE });
    },
    'resume, 50 missed': async () => {
      const room_id = room();
      const since = Math.max(0, (await headOf(room_id)) - PAGE);
      return () => log.messagesAfter([{ room_id, rev: since, bytes: 256 * 1_024 }], PAGE);
    },
    [`states of ${RESUME_ROOMS} rooms`]: async () => {
      const asked = Array.from({ length: RESUME_ROOMS }, () => ({ user_id: corpus.author, room_id: room() }));
      return () => joinStates(db, asked);
    },
    'search for a rare word': async () => {
      const room_id = room();
      const q = wordOf(1_000 + Math.floor(random() * 40_000));
      return async () => {
        const query = await search.parse(room_id, q);
        return search.find(room_id, query, { before: query.head_seq + 1, limit: 21 });
      };
    },
  };
}

/** What else is on the path of messages. */
function otherStatements(db: Db, corpus: Corpus, random: Random): Statements {
  const all = Object.values(corpus.rooms).flat();
  const room = picking(all, random);
  const log = messageLog(db);
  return {
    'standings of 20 senders': async () => {
      const asked = Array.from({ length: 20 }, () => ({ user_id: corpus.author, room_id: room() }));
      return () => standings(db, asked);
    },
    [`${BATCH} ids sent again`]: async () => {
      const messages = newMessages(corpus, BATCH, random);
      await log.insert(messages, new Date());
      return () => log.known(messages.map(({ id }) => id));
    },
    [`heads of ${RESUME_ROOMS} rooms`]: async () => () => log.heads(all.slice(0, RESUME_ROOMS)),
    'marks of 20 readers': async () => {
      const marks = all
        .slice(0, 20)
        .map((room_id) => ({ room_id, user_id: corpus.author, seq_no: Number.MAX_SAFE_INTEGER }));
      return () => advanceReadMarks(db, marks);
    },
    'words of what was inserted': async () => () => writeWords(db, all.slice(0, 200), 250),
  };
}

async function explainStatements(
  db: Db,
  logFile: string,
  statements: Statements,
): Promise<Record<string, string>> {
  const plans: Record<string, string> = {};
  for (const [name, prepare] of Object.entries(statements))
    plans[name] = await explained(db, logFile, await prepare());
  await writeAllWords(db);
  return plans;
}

async function timeStatements(db: Db, statements: Statements, times: number) {
  const found: Record<string, { p50: number; p99: number }> = {};
  for (const [name, prepare] of Object.entries(statements)) {
    const took: number[] = [];
    for (let i = 0; i < times; i++) {
      const statement = await prepare();
      const from = performance.now();
      await statement();
      took.push(performance.now() - from);
    }
    took.sort((a, b) => a - b);
    const at = (share: number) =>
      took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
    found[name] = { p50: at(0.5), p99: at(0.99) };
    await writeAllWords(db); // of what was inserted
  }
  return found;
}
