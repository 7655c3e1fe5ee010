import { connect, type Socket } from 'node:net';
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';

/** The driver as the server has it: bundled, with some of its faults mended (scripts/mend-postgres.mjs). */
const driver = '../../dist/node_modules/postgres/index.mjs';
const { default: open } = (await import(driver)) as { default: typeof postgres };

let database: TestDatabase;
let sockets: Socket[];
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.url);
  sockets = [];
  const socket = () => {
    const made = connect({ host: hostname, port: Number(port) });
    sockets.push(made);
    return made;
  };
  sql = open(database.url, {
    max: 1,
    connect_timeout: 2,
    backoff: () => 0,
    onnotice: () => {},
    ...{ socket },
  });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

test('a transaction whose connection breaks fails, and the process lives', async () => {
  for (const end of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.resetAndDestroy()]) {
    const broken = sql.begin((tx) => tx`select pg_sleep(10)`);
    await expect.poll(() => sockets.length).toBeGreaterThan(0);
    const timer = setTimeout(() => end(must(sockets.at(-1))), 300);
    await expect(broken).rejects.toMatchObject({
      code: expect.stringMatching(/^(CONNECTION_CLOSED|ECONNRESET)$/),
    });
    clearTimeout(timer);
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  }
});

test('what waits to be written when a connection breaks fails with it, and what follows goes over the next', async () => {
  await sql`select 1`;
  const lost = sql`select ${'lost'} as text`.execute();
  must(sockets.at(-1)).destroy();
  await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  expect(await sql`select ${'next'} as text`).toEqual([{ text: 'next' }]);
});
