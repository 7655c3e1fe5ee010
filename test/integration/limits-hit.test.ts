import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { LIMITS, type Limit } from '../../src/front/ports.js';
import { upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import type { ErrorPayload } from '../helpers/frames.js';
import { hasRedis, startRedis } from '../helpers/redis.js';
import { type Account, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type Server, startServer, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, connectRefused } from '../helpers/ws-client.js';

/** What a limit refuses is counted under its name: the dashboards and ParleyLoginsRefused live on it. */
const REST_PER_MINUTE = 60;
const AUTH_PER_MINUTE = 12;
const SENDS_PER_SECOND = 5;
const SOCKETS_PER_USER = 2;
const SOCKETS_PER_ADDRESS = 12;
const CREDIT = 8_192; // src/front/shard-links.ts
const READS_AT_ONCE = 256; // src/front/requests.ts

/** What was refused by each limit so far, all threads added up. */
async function hits(server: Server): Promise<ReadonlyMap<Limit, number>> {
  const text = await (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
  const found = new Map<Limit, number>();
  for (const [, labels = '', value] of text.matchAll(/^parley_limits_hit_total\{([^}]*)\} (\d+)/gm)) {
    const limit = must(LIMITS.find((each) => labels.includes(`limit="${each}"`)));
    found.set(limit, (found.get(limit) ?? 0) + Number(value));
  }
  return found;
}

/** Runs what exceeds one limit; it is the only one that has counted then. */
async function onlyHits(server: Server, limit: Limit, run: () => Promise<void>): Promise<void> {
  const before = await hits(server);
  await run();
  const after = await hits(server);
  const risen = LIMITS.filter((each) => must(after.get(each)) > must(before.get(each)));
  expect(risen).toEqual([limit]);
}

test('a limit that nothing has hit is told as 0, by every name', async () => {
  const server = await startServerWithDatabase({ SHARDS: '1' });
  expect([...(await hits(server))].sort()).toEqual(LIMITS.map((limit) => [limit, 0]).sort());
});

test('limits of users and addresses', { timeout: 60_000 }, async () => {
  const server = await startServerWithDatabase({
    SHARDS: '1',
    RATE_LIMIT_PER_MINUTE: String(REST_PER_MINUTE),
    AUTH_RATE_LIMIT_PER_MINUTE: String(AUTH_PER_MINUTE),
    UPLOADS_PER_MINUTE: '1',
    WS_SENDS_PER_SECOND: String(SENDS_PER_SECOND),
    MAX_CONNECTIONS_PER_USER: String(SOCKETS_PER_USER),
    MAX_CONNECTIONS_PER_IP: String(SOCKETS_PER_ADDRESS),
  });
  const rest = restClient(server.url);
  const [ann, ben, cat] = [await newAccount(rest), await newAccount(rest), await newAccount(rest)];
  const room = (await newRoom(rest, ann, [ben, cat])).id;
  const options = (account: Account) => ({ wsUrl: server.wsUrl, token: account.token });

  const file = { name: 'a.txt', type: 'text/plain', bytes: Buffer.from('an attachment') };
  expect((await upload(server.url, ann.token, room, file)).status).toBe(201);
  await onlyHits(server, 'uploads', async () => {
    expect((await upload(server.url, ann.token, room, file)).status).toBe(429);
  });
  const claim = { file_name: 'a.txt', file_type: 'text/plain', file_size: 13 };
  const presign = () => rest.post(`/rooms/${room}/attachments/presign`, ben.token, claim);
  expect((await presign()).status).toBe(201);
  await onlyHits(server, 'uploads', async () => expect((await presign()).status).toBe(429));

  const sockets = [await connect(options(ann)), await connect(options(ann))];
  await onlyHits(server, 'connections', async () => {
    expect((await connectRefused(options(ann))).status).toBe(429);
  });
  await onlyHits(server, 'connections', async () => {
    // Who says it only by a frame has been let in by then.
    const late = await connect({ ...options(ann), token: null });
    late.sendFrame({ type: 'authenticate', payload: { token: ann.token } });
    expect((await late.closed).code).toBe(4008);
  });
  while (sockets.length < SOCKETS_PER_ADDRESS) sockets.push(await connect({ ...options(ann), token: null }));
  await onlyHits(server, 'connections', async () => {
    expect((await connectRefused(options(ben))).status).toBe(429);
  });

  const [socket] = sockets;
  await onlyHits(server, 'sends', async () => {
    const sent = Array.from({ length: 4 * SENDS_PER_SECOND }, () =>
      must(socket).request<ErrorPayload>('send_message', { content: 'again' }, room),
    );
    expect((await Promise.all(sent)).some(({ payload }) => payload.code === 'rate_limited')).toBe(true);
  });
  await onlyHits(server, 'rest', async () => {
    const asked = Array.from({ length: REST_PER_MINUTE + 1 }, () => rest.get('/users/me', cat.token));
    expect((await Promise.all(asked)).some(({ status }) => status === 429)).toBe(true);
  });
  await onlyHits(server, 'rest', async () => {
    const asked = Array.from({ length: 10 * REST_PER_MINUTE + 1 }, () => fetch(`${server.url}/docs`));
    expect((await Promise.all(asked)).some(({ status }) => status === 429)).toBe(true);
  });
  await onlyHits(server, 'auth', async () => {
    const guess = { email: ann.email, password: 'a guess of somebody' };
    const guessed = Array.from({ length: AUTH_PER_MINUTE + 1 }, () => rest.login(guess));
    expect((await Promise.all(guessed)).some(({ status }) => status === 429)).toBe(true);
  });
});

test('what a socket may have under way, and a shard', { timeout: 60_000 }, async () => {
  const { database, ...server } = await startServerWithDatabase({ SHARDS: '1' });
  const rest = restClient(server.url);
  const ann = await newAccount(rest);
  const room = (await newRoom(rest, ann)).id;
  const refused = new Map<string, number>();
  const client = await connect({
    wsUrl: server.wsUrl,
    token: ann.token,
    onFrame({ type, payload }) {
      if (type !== 'error') return;
      const { code } = payload as unknown as ErrorPayload;
      refused.set(code, (refused.get(code) ?? 0) + 1);
    },
  });
  const isOverloaded = () => (refused.get('overloaded') ?? 0) > 0;
  await client.ask('send_message', { content: 'the first' }, room);
  const sql = postgres(database.url, { max: 1 });
  /** Nothing is read of rooms or committed meanwhile, as when PostgreSQL is stuck. */
  const whileStuck = (run: () => Promise<void>) =>
    sql.begin(async (tx) => {
      await tx`lock table room_heads in access exclusive mode`;
      await run();
    });
  try {
    await onlyHits(server, 'reads', () =>
      whileStuck(async () => {
        for (let n = 0; n <= READS_AT_ONCE; n++)
          client.sendFrame({ type: 'sync', room_id: room, payload: { since: 0 } });
        await until(isOverloaded, 'a read that is one too many');
      }).then(() => undefined),
    );
    await client.request('sync', { since: 0 }, room);
    refused.clear();
    await onlyHits(server, 'credit', () =>
      whileStuck(async () => {
        for (let n = 0; n <= CREDIT; n++)
          client.sendFrame({ type: 'send_message', room_id: room, payload: { content: 'x' } });
        await until(isOverloaded, 'a send that is one too many');
      }).then(() => undefined),
    );
  } finally {
    await sql.end();
  }
});

describe.skipIf(!hasRedis)('over all nodes (skipped where there is no redis-server)', () => {
  test('a user who is over the limit of all nodes together is counted where he was refused', {
    timeout: 60_000,
  }, async () => {
    const redis = await startRedis();
    const env = { SHARDS: '1', REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: String(REST_PER_MINUTE) };
    const first = await startServerWithDatabase(env);
    const ann = await newAccount(restClient(first.url));
    const second = await startServer({ env: { ...env, DATABASE_URL: first.database.url } });
    const ask = (server: Server) => restClient(server.url).get('/users/me', ann.token);
    await until(async () => {
      await ask(first);
      return (await ask(second)).status === 429;
    }, 'a refusal');
    await until(async () => must((await hits(second)).get('rest')) > 0, 'the refusal counted');
    await redis.kill();
  });
});
