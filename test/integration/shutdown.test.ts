import { expect, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { DEADLINE_MS, must, until, within } from '../helpers/deadline.js';
import type { Frame } from '../helpers/frames.js';
import { startLoad } from '../helpers/load.js';
import { newAccount, restClient } from '../helpers/rest-client.js';
import { JWT_SECRET, type Server, spawnTracked, startServer } from '../helpers/server-process.js';
import { type Closed, connect } from '../helpers/ws-client.js';

const EXIT_DEADLINE_MS = 10_000; // promised are 5 s, on a machine that isn't running other tests too
const NPM_DEADLINE_MS = 120_000; // it may build first

test('SIGTERM under load says bye, closes with 1012, exits 0, and loses nothing acknowledged', {
  timeout: 120_000,
}, async () => {
  const database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, SHARDS: '2' };
  let server: Server = await startServer({ env });
  const load = await startLoad({ server: () => server, members: 5, rooms: 2, ordered: false });
  await load.acks(200);

  const farewells = load.members.map((member) => {
    const client = must(member.client());
    const bye = client.next((frame) => frame.type === 'bye', 'bye', EXIT_DEADLINE_MS);
    return Promise.all([bye, client.closed]);
  });
  server.kill('SIGTERM');
  expect(await within(server.exit, EXIT_DEADLINE_MS, 'the exit')).toEqual({ code: 0, signal: null });
  for (const [bye, closed] of await Promise.all(farewells)) expectFarewell(bye, closed);

  server = await startServer({ env });
  await load.acks(50);
  expect(await load.finish()).toEqual([]);
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  await database.drop();
});

function expectFarewell(bye: Frame, closed: Closed): void {
  expect(bye.payload).toMatchObject({ reason: expect.any(String), reconnect_after_ms: expect.any(Number) });
  expect(bye.payload.reconnect_after_ms).toBeGreaterThanOrEqual(0);
  expect(closed.code).toBe(1012);
}

test('a server without clients exits 0 on SIGTERM and on SIGINT', async () => {
  const database = await createTestDatabase();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await startServer({ env: { DATABASE_URL: database.url } });
    server.kill(signal);
    expect(await within(server.exit, EXIT_DEADLINE_MS, `the exit after ${signal}`)).toEqual({
      code: 0,
      signal: null,
    });
  }
  await database.drop();
});

test('SIGTERM to the process of `npm start` drains the server behind it', { timeout: 180_000 }, async () => {
  const database = await createTestDatabase();
  const npm = spawnTracked('npm', ['start'], {
    NODE_ENV: 'test',
    DATABASE_URL: database.url,
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '0',
    METRICS_PORT: '0',
  });
  const isListening = () => npm.log().find((line) => line.event === 'listening');
  const { port } = await until(isListening, 'npm start listening', NPM_DEADLINE_MS);
  const account = await newAccount(restClient(`http://127.0.0.1:${port}`));
  const client = await connect({ wsUrl: `ws://127.0.0.1:${port}/api/v1/ws`, token: account.token });
  npm.kill('SIGTERM');
  const bye = await client.next((frame) => frame.type === 'bye', 'bye');
  expectFarewell(bye, await within(client.closed, DEADLINE_MS, 'the close'));
  // `exit` waits for the server's end too: it holds the pipes.
  expect(await within(npm.exit, EXIT_DEADLINE_MS, 'the exit of npm')).toMatchObject({ code: 0 });
  await database.drop();
});
