import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../../bench/faults/world.js';
import { must, until } from '../helpers/deadline.js';
import { busesHealthy, metric, type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';

const TIMEOUT = { timeout: 180_000 };
const OUTAGE_MS = 30_000; // DESIGN of the promise: half a minute without Redis costs latency only

describe.skipIf(!hasRedis)('two nodes whose Redis fails (skipped where there is no redis-server)', () => {
  let redis: RedisServer;
  let nodes: Nodes;

  beforeAll(async () => {
    redis = await startRedis();
    nodes = await startNodes(['2', '3'].map((SHARDS) => ({ SHARDS, REDIS_URL: redis.url })));
  });
  afterAll(async () => {
    await nodes?.stop();
    await redis?.kill();
  });

  const talk = () =>
    startWorld({
      origins: () => nodes.servers.map(({ url }) => url),
      clients: 6,
      rooms: 3,
      depth: 2,
      pauseMs: 20,
    });
  async function deliveries(world: World, count: number): Promise<void> {
    const before = world.clients.map(({ counts }) => counts.delivered);
    const again = () => world.clients.every(({ counts }, i) => counts.delivered >= must(before[i]) + count);
    await until(again, `${count} deliveries to every client`, 60_000);
  }

  test('restarted and flushed: every stream stays whole and in order', TIMEOUT, async () => {
    const world = await talk();
    for (let round = 0; round < 3; round++) {
      await deliveries(world, 100);
      await redis.command('FLUSHALL');
      await deliveries(world, 100);
      await redis.kill();
      await redis.start();
    }
    await busesHealthy(nodes.servers, true);
    await deliveries(world, 50);
    expect(await world.judge()).toEqual([]);
  });

  test(
    'down for 30 s: what the other node committed is found by asking for heads, within seconds',
    TIMEOUT,
    async () => {
      const world = await talk();
      await deliveries(world, 50);
      const healsBefore = await metric(nodes.node(0), 'parley_polls_healed_total');
      await redis.stop();
      const until_ = performance.now() + OUTAGE_MS;
      await busesHealthy(nodes.servers, false);
      while (performance.now() < until_) await deliveries(world, 20);
      expect(await metric(nodes.node(0), 'parley_polls_healed_total')).toBeGreaterThan(healsBefore);
      await redis.start();
      await busesHealthy(nodes.servers, true);
      await deliveries(world, 50);
      expect(await world.judge()).toEqual([]);
    },
  );
});
