import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { inBatches } from '../../src/store/batches.js';
import { type Db, openDatabase, openToolDatabase, StoreUnavailable } from '../../src/store/client.js';
import { endHalfStatements } from '../../src/store/half-statements.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;
let tool: Db;
let node: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  node = openDatabase(database.url, 1, 'parley-shard-0');
});
beforeEach(() => {
  tool = openToolDatabase(database.url, 'parley-admin');
});
afterEach(() => tool.end({ timeout: 1 }));
afterAll(async () => {
  await node.end({ timeout: 1 });
  await database.drop();
});

const numbers = (count: number) =>
  inBatches(tool, tool<{ n: number }[]>`select n::int from generate_series(1, ${count}::int) as n`, 10);

test.each([0, 1, 10, 25])('all of %i rows come, in their order', async (count) => {
  const read: number[] = [];
  for await (const rows of numbers(count)) read.push(...rows.map(({ n }) => n));
  expect(read).toEqual(Array.from({ length: count }, (_, i) => i + 1));
});

test('whoever stops reading leaves connections that work', async () => {
  // More than the pool has connections.
  for (let i = 0; i < 5; i++) for await (const rows of numbers(100)) if ((rows.at(-1)?.n ?? 0) >= 20) break;
  expect(await tool`select 1 as one`).toMatchObject([{ one: 1 }]);
});

test('a connection that is lost between two batches is an error, not an end', async () => {
  const read = async () => {
    for await (const rows of numbers(100)) {
      if (rows[0]?.n !== 11) continue;
      await node`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'parley-admin' and datname = current_database()`;
      await sleep(200);
    }
  };
  await expect(read()).rejects.toThrow(StoreUnavailable);
});

test('a tool that takes its time between two batches isn’t taken for a node that is cut off', async () => {
  let read = 0;
  for await (const rows of numbers(20)) {
    read += rows.length;
    if (read > 10) continue;
    await sleep(3_500);
    expect(await endHalfStatements(node)).toBe(0);
  }
  expect(read).toBe(20);
});
