import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../../bench/faults/world.js';
import { type CuttableLink, startLink } from '../helpers/cuttable-link.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';
import { busesHealthy } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { type Server, startServer } from '../helpers/server-process.js';

const TIMEOUT = { timeout: 180_000 };
const RECOVERS_MS = 60_000;

/** Two nodes; the second one reaches PostgreSQL and Redis through proxies that can be cut. */
describe.skipIf(!hasRedis)('a node that is cut off (skipped where there is no redis-server)', () => {
  let redis: RedisServer;
  let database: TestDatabase;
  let toPostgres: CuttableLink;
  let toRedis: CuttableLink;
  let servers: Server[];

  beforeEach(async () => {
    redis = await startRedis();
    database = await createTestDatabase();
    const [real, bus] = [new URL(database.url), new URL(redis.url)];
    toPostgres = await startLink({ host: real.hostname, port: Number(real.port) });
    toRedis = await startLink({ host: bus.hostname, port: Number(bus.port) });
    const through = (url: string, port: number) =>
      Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href;
    const env = { SHARDS: '2', DATABASE_URL: database.url, REDIS_URL: redis.url };
    const cut = {
      SHARDS: '3',
      DATABASE_URL: through(database.url, toPostgres.port),
      REDIS_URL: through(redis.url, toRedis.port),
    };
    servers = [await startServer({ env }), await startServer({ env: cut })];
  });
  afterEach(async () => {
    for (const server of servers) server.kill('SIGTERM');
    await Promise.all(servers.map(({ exit }) => exit));
    for (const proxy of [toPostgres, toRedis]) proxy.close();
    await redis.kill();
    await database.drop();
  });

  const talk = () =>
    startWorld({ origins: () => servers.map(({ url }) => url), clients: 6, rooms: 3, depth: 2, pauseMs: 20 });
  /** Every client gets messages acknowledged again. */
  async function everybodySends(world: World, count: number): Promise<void> {
    const before = world.clients.map(({ counts }) => counts.acked);
    const again = () => world.clients.every(({ counts }, i) => counts.acked >= must(before[i]) + count);
    await until(again, `${count} acks of every client`, RECOVERS_MS).catch((error: unknown) => {
      const counts = world.clients.map(({ counts: { acked } }, i) => acked - must(before[i]));
      const told = servers.map(({ lines }) => lines.slice(-30).join('\n'));
      throw new Error(`${String(error)}: ${counts.join(', ')}\n${told.join('\n')}`);
    });
  }

  test(
    'from Redis: nothing is lost, doubled or out of order, and everybody is told in time',
    TIMEOUT,
    async () => {
      const world = await talk();
      await everybodySends(world, 20);
      toRedis.cut();
      await busesHealthy(servers.slice(1), false);
      await everybodySends(world, 60);
      toRedis.heal();
      await busesHealthy(servers, true);
      await everybodySends(world, 20);
      expect(await world.judge()).toEqual([]);
    },
  );

  test(
    'from PostgreSQL: its sends are refused, then go on over fresh connections long before TCP gives up',
    TIMEOUT,
    async () => {
      const world = await talk();
      await everybodySends(world, 20);
      toPostgres.cut();
      const ready = async () => (await fetch(`${must(servers[1]).url}/api/v1/health/ready`)).status;
      await until(async () => (await ready()) === 503, 'the node not being ready', RECOVERS_MS);
      toPostgres.heal();
      const healed = performance.now();
      await until(async () => (await ready()) === 200, 'the node being ready', RECOVERS_MS);
      await everybodySends(world, 20);
      const ms = Math.round(performance.now() - healed);
      process.stdout.write(`every client sends again ${ms} ms after the way to PostgreSQL was there again\n`);
      expect(await world.judge()).toEqual([]);
    },
  );
});
