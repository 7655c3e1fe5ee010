import { Agent, request } from 'node:http';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { createTestDatabase, waitingForLocks } from '../helpers/database.js';
import { must, until, within } from '../helpers/deadline.js';
import { hasRedis, startRedis } from '../helpers/redis.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { startServer, startServerWithDatabase } from '../helpers/server-process.js';

const EXIT_DEADLINE_MS = 15_000;

interface Health {
  readonly status: number;
  readonly data: { readonly status: string; readonly database: boolean; readonly redis: boolean | null };
}

/** Asks over one connection that stays open: a draining server takes no new ones. */
function asker(port: number): (path: string) => Promise<Health> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (path) =>
    new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path: `/api/v1${path}`, agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => {
          const { data } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Pick<Health, 'data'>;
          resolve({ status: must(response.statusCode), data });
        });
      })
        .once('error', reject)
        .end();
    });
}

test('a server alone is well, and says null of the Redis that it has not', async () => {
  const server = await startServerWithDatabase({ SHARDS: '1' });
  const ask = asker(server.port);
  for (const path of ['/health', '/health/ready']) {
    expect(await ask(path)).toMatchObject({
      status: 200,
      data: { status: 'ok', database: true, redis: null, storage: true, timestamp: expect.any(String) },
    });
  }
  expect(await ask('/health/live')).toMatchObject({ status: 200, data: { status: 'ok' } });
  await server.stop();
});

test('a draining server is alive and not ready, and answers what it had taken in', async () => {
  const database = await createTestDatabase();
  const server = await startServer({ env: { DATABASE_URL: database.url, SHARDS: '1' } });
  const ask = asker(server.port);
  const rest = restClient(server.url);
  const account = await newAccount(rest);
  const room = await newRoom(rest, account);
  expect((await ask('/health/ready')).status).toBe(200);

  // A send that waits for the test keeps the server draining for as long as the test wants.
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const locked = new Promise<void>((resolve, reject) => {
    sql
      .begin(async (tx) => {
        await tx`select 1 from room_heads where room_id = ${room.id} for update`;
        resolve();
        await held;
      })
      .catch(reject);
  });
  await locked;
  const sent = rest.send(account.token, room.id, { content: 'under way' });
  const watcher = postgres(database.url, { max: 1, onnotice: () => undefined });
  await until(async () => (await waitingForLocks(watcher)) > 0, 'the send at the lock');
  server.kill('SIGTERM');
  const draining = await until(async () => {
    const health = await ask('/health/ready');
    return health.status === 503 ? health : null;
  }, 'not ready');
  expect(draining.data).toMatchObject({ status: 'degraded', database: true });
  expect((await ask('/health/live')).status).toBe(200);
  letGo();
  expect((await sent).status).toBe(201);
  expect(await within(server.exit, EXIT_DEADLINE_MS, 'the exit')).toEqual({ code: 0, signal: null });
  await Promise.all([sql.end(), watcher.end()]);
  await database.drop();
});

describe.skipIf(!hasRedis)('with Redis (skipped where the machine has no redis-server)', () => {
  test('without its Redis a server is degraded yet ready, and serves', { timeout: 60_000 }, async () => {
    const redis = await startRedis();
    const server = await startServerWithDatabase({ SHARDS: '2', REDIS_URL: redis.url });
    const ask = asker(server.port);
    const becomes = (status: number) =>
      until(
        async () => {
          const health = await ask('/health');
          return health.status === status ? health : null;
        },
        `/health ${status}`,
        20_000,
      );
    expect((await becomes(200)).data).toMatchObject({ status: 'ok', redis: true });
    await redis.stop();
    expect((await becomes(503)).data).toMatchObject({ status: 'degraded', database: true, redis: false });
    expect(await ask('/health/ready')).toMatchObject({
      status: 200,
      data: { status: 'degraded', redis: false },
    });
    const rest = restClient(server.url);
    const account = await newAccount(rest);
    const room = await newRoom(rest, account);
    expect((await rest.send(account.token, room.id, { content: 'without Redis' })).status).toBe(201);
    await redis.start();
    expect((await becomes(200)).data).toMatchObject({ status: 'ok', redis: true });
    await server.stop();
  });
});
