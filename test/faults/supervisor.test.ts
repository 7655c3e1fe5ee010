import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorld } from '../../bench/faults/world.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';
import { type Server, startServer } from '../helpers/server-process.js';

let database: TestDatabase;
let server: Server;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startServer({ env: { DATABASE_URL: database.url, PROCESSES: '2', SHARDS: '1' } });
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});

async function serving(): Promise<number[]> {
  const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

test.skipIf(process.platform !== 'linux')(
  'a process of several that is killed is started again, and its clients go on (needs /proc)',
  { timeout: 180_000 },
  async () => {
    const world = await startWorld({
      origins: () => [server.url],
      clients: 8,
      rooms: 3,
      depth: 2,
      pauseMs: 10,
    });
    const acks = async (count: number) => {
      const enough = world.totals().acked + count;
      await until(() => world.totals().acked >= enough, `${count} more acks`, 30_000);
    };
    for (let kill = 0; kill < 6; kill++) {
      await acks(150);
      const before = await serving();
      expect(before).toHaveLength(2);
      process.kill(must(before[kill % 2]), 'SIGKILL');
      const restarts = () => server.log().filter(({ event }) => event === 'process_restarted').length;
      await until(() => restarts() > kill, 'the process started again', 30_000);
    }
    await acks(150);
    expect(await world.judge()).toEqual([]);
  },
);
