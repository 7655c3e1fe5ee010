import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startLoad } from '../helpers/load.js';
import { type Server, startServer } from '../helpers/server-process.js';

const KILLS = 20; // issue 3
/** Messages acknowledged by each server before it is killed; the next ones are then in flight. */
const ACKS_PER_LIFE = 60;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const start = (): Promise<Server> => startServer({ env: { DATABASE_URL: database.url, SHARDS: '2' } });

test('an acknowledged message survives kill -9, numbers keep no gap, and members resume to what history says', {
  timeout: 240_000,
}, async () => {
  let server = await start();
  const load = await startLoad({ server: () => server, members: 5, rooms: 3, ordered: true });
  for (let kill = 0; kill < KILLS; kill++) {
    await load.acks(ACKS_PER_LIFE);
    server.kill('SIGKILL');
    expect(await server.exit).toEqual({ code: null, signal: 'SIGKILL' });
    server = await start();
  }
  await load.acks(ACKS_PER_LIFE);
  expect(await load.finish()).toEqual([]);
  await server.stop();
});
