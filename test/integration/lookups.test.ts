import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoomId, UserId } from '../../src/protocol/ids.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { joinStates } from '../../src/store/join-state.js';
import { messageLog, messageTargets } from '../../src/store/message-log.js';
import { standings } from '../../src/store/standings.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';

const ROOMS = 500;
const TIMES = 20;
/** Rows that a lookup of one room may read in all tables together: its own, and what a page of an index brings along. */
const ROWS_A_LOOKUP = 10;

let database: TestDatabase;
let db: Db;
let pairs: { room_id: RoomId; user_id: UserId }[];

/** Tables as they are before anything has gathered statistics of them, when a planner takes them for almost empty. */
beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 1, 'lookups'); // one connection: it tells its own reads at once
  for (const table of ['users', 'rooms', 'room_heads', 'room_members', 'messages'])
    await db`alter table ${db(table)} set (autovacuum_enabled = false)`;
  await db`
    insert into users (id, username, email, password_hash)
    select gen_random_uuid(), 'user' || n, n || '@x.io', '' from generate_series(1, ${ROOMS}::int) n`;
  await db`
    insert into rooms (id, name, type) select gen_random_uuid(), 'room' || n, 'public' from generate_series(1, ${ROOMS}::int) n`;
  await db`insert into room_heads (room_id) select id from rooms`;
  pairs = await db`
    insert into room_members (room_id, user_id, role)
    select r.id, u.id, 'member' from rooms r join users u on u.username = 'user' || substr(r.name, 5)
    returning room_id, user_id`;
});

afterAll(async () => {
  await db.end();
  await database.drop();
});

async function rowsRead(): Promise<number> {
  await db`select pg_stat_force_next_flush()`;
  const [row] = await db<{ rows: number }[]>`
    select sum(idx_tup_fetch + coalesce(seq_tup_read, 0))::int as rows from pg_stat_user_tables`;
  return must(row).rows;
}

const lookups: Readonly<Record<string, (pair: (typeof pairs)[number]) => Promise<unknown>>> = {
  'to join a room': ({ room_id, user_id }) => joinStates(db, user_id, [room_id]),
  'whether somebody may send': (pair) => standings(db, [pair]),
  'of what a message answers': () => messageTargets(db, [crypto.randomUUID() as never]),
  'of what came since': ({ room_id }) =>
    messageLog(db).messagesAfter(room_id, 0, { limit: 200, bytes: 1_000 }),
  'of the head of a room': ({ room_id }) => messageLog(db).heads([room_id]),
};

test.each(Object.entries(lookups))('a lookup %s reads no other rooms', async (_name, lookup) => {
  const before = await rowsRead();
  for (const pair of pairs.slice(0, TIMES)) await lookup(pair);
  expect((await rowsRead()) - before).toBeLessThanOrEqual(TIMES * ROWS_A_LOOKUP);
});
