/**
 * How long does a search take in a million messages, and what do its words cost? On a database of its own,
 * through the server's own statements, one search at a time.
 *
 * `npm run bench:search -- --help`
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { MessageSearch } from '../../src/http/message-search-port.js';
import type { RoomId } from '../../src/protocol/ids.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { messageLog } from '../../src/store/message-log.js';
import { lookUp, messageSearch, WALK_MAX } from '../../src/store/message-search.js';
import { migrateUp } from '../../src/store/migrations.js';
import { readMachineFacts } from '../load/machine.js';
import { findPostmaster } from '../load/postgres-process.js';
import { seededRandom } from '../load/random.js';
import { ROOM_SIZES, wordOf } from './corpus.js';
import { type Corpus, corpusOf, createRooms, fill, newMessages, writeAllWords } from './fill.js';
import { makeQuery, QUERY_KINDS } from './queries.js';

const USAGE = `npm run bench:search -- [options]

  --messages N       to search in (1000000)
  --searches N       of each kind (300)
  --inserts N        of each kind, to tell what the index costs; 0: none (60000)
  --data-dir DIR     stays, and the messages in it are searched again by the next run (a temporary one)
  --help`;

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    searches: { type: 'string', default: '300' },
    inserts: { type: 'string', default: '60000' },
    'data-dir': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const messages = Number(values.messages);
const searches = Number(values.searches);
const PAGE = 20;
const INSERT_BATCH = 100; // what a busy server's group commit takes
const INSERT_LANES = 2; // as many as the batch writer has under way
const INSERT_ROUNDS = 3; // of each kind, alternating: a machine shared with others drifts

async function main(): Promise<void> {
  const dataDir = values['data-dir'] ?? (await mkdtemp(join(tmpdir(), 'parley-bench-search-')));
  const cluster = await startEmbeddedPostgres({ dataDir, log: () => {} });
  try {
    console.log(JSON.stringify(await readMachineFacts(await findPostmaster(dataDir))));
    if (Number(values.inserts) > 0) await benchInserts(cluster.url, Number(values.inserts));
    await benchSearches(cluster.url);
  } finally {
    await cluster.stop();
    if (values['data-dir'] === undefined) await rm(dataDir, { recursive: true, force: true });
  }
}

async function benchSearches(url: string): Promise<void> {
  await migrateUp(url);
  const db = openDatabase(url, 1, 'bench-search');
  const random = seededRandom(1);
  const corpus = (await corpusOf(db)) ?? (await filled(db));
  const cpu = await backendClock(db);
  console.log('\n| room | query | p50 ms | p99 ms | CPU p50 | CPU p99 | hits | % ended early |');
  console.log('| --- | --- | --: | --: | --: | --: | --: | --: |');
  const all: number[] = [];
  for (const { kind } of ROOM_SIZES) {
    for (const query of QUERY_KINDS) {
      const wall: number[] = [];
      const busy: number[] = [];
      let hits = 0;
      let early = 0;
      for (let i = 0; i < searches; i++) {
        const room_id = corpus.rooms[kind][Math.floor(random() * corpus.rooms[kind].length)] as RoomId;
        const q = await makeQuery(db, room_id, query, random);
        const [from, busyFrom] = [performance.now(), cpu()];
        const found = await searchOnce(db, room_id, q);
        hits += found?.hits.length ?? 0;
        if (found?.reached != null) early++;
        wall.push(performance.now() - from);
        busy.push(cpu() - busyFrom);
      }
      all.push(...wall);
      const figures = [...quantiles(wall), ...quantiles(busy), hits / searches, (100 * early) / searches].map(
        (each) => each.toFixed(1),
      );
      console.log(`| ${kind} | ${query} | ${figures.join(' | ')} |`);
    }
  }
  const [p50, p99] = quantiles(all).map((each) => each.toFixed(1));
  console.log(`\nall ${all.length} searches: p50 ${p50} ms, p99 ${p99} ms`);
  await explain(db, corpus);
  await db.end();
}

/** p50 and p99. */
function quantiles(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.99].map((share) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0);
}

/**
 * The milliseconds that the connection's backend has had a core: what a search costs, also where the machine is
 * shared with others. Linux alone tells; elsewhere 0.
 */
async function backendClock(db: Db): Promise<() => number> {
  const [row] = await db<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const file = `/proc/${row?.pid}/schedstat`;
  return () => (existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6 : 0);
}

async function filled(db: Db): Promise<Corpus> {
  const corpus = await createRooms(db);
  const began = performance.now();
  await fill(db, corpus, messages, seededRandom(3));
  console.log(`${messages} messages written in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  return corpus;
}

/** What the route does: understand the query, then find a page and one more. Null: it took too long. */
async function searchOnce(
  db: Db,
  room_id: RoomId,
  q: string,
): Promise<Awaited<ReturnType<MessageSearch['find']>> | null> {
  const search = messageSearch(db);
  try {
    const query = await search.parse(room_id, q);
    return await search.find(room_id, query, { before: query.head_seq + 1, limit: PAGE + 1 });
  } catch (error) {
    console.log(`${q}: ${String((error as Error).cause ?? error)}`);
    return null;
  }
}

async function explain(db: Db, corpus: Corpus): Promise<void> {
  const room_id = corpus.rooms.huge[0] as RoomId;
  const { text, head_seq } = await messageSearch(db).parse(room_id, wordOf(1_500));
  const wanted = { room_id, query: text, before: head_seq - WALK_MAX, limit: PAGE + 1, bottom: 0 };
  const plan = await db.begin(async (tx) => {
    await tx`set local enable_seqscan = off`;
    return tx<Record<string, string>[]>`explain (analyze, costs off, timing off) ${lookUp(tx, wanted)}`;
  });
  console.log(`\n${plan.map((row) => row['QUERY PLAN']).join('\n')}`);
}

/** Messages a second: committed by the log's own statement, and then their words written. */
async function benchInserts(url: string, count: number): Promise<void> {
  const rates = { committed: [] as number[], words: [] as number[] };
  for (let round = 0; round < INSERT_ROUNDS; round++) {
    const { committed, words } = await insertRates(url, count);
    rates.committed.push(committed);
    rates.words.push(words);
  }
  for (const [kind, rate] of Object.entries(rates)) {
    console.log(`messages/s ${kind}: ${rate.map((each) => each.toFixed(0)).join(', ')}`);
  }
}

async function insertRates(url: string, count: number): Promise<{ committed: number; words: number }> {
  const admin = openDatabase(url, 1, 'bench-admin');
  await admin.unsafe('create database bench_inserts');
  const own = new URL(url);
  own.pathname = '/bench_inserts';
  await migrateUp(own.href);
  const db = openDatabase(own.href, INSERT_LANES, 'bench-inserts');
  const corpus = await createRooms(db);
  const random = seededRandom(2);
  const batches = Array.from({ length: Math.ceil(count / INSERT_BATCH) }, () =>
    newMessages(corpus, INSERT_BATCH, random),
  );
  const log = messageLog(db);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: INSERT_LANES }, async () => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
        await log.insert(batch, new Date());
      }
    }),
  );
  const committedAt = performance.now();
  await writeAllWords(db);
  const rates = {
    committed: (count / (committedAt - began)) * 1_000,
    words: (count / (performance.now() - committedAt)) * 1_000,
  };
  await db.end();
  await admin.unsafe('drop database bench_inserts with (force)');
  await admin.end();
  return rates;
}

if (values.help) console.log(USAGE);
else await main();
