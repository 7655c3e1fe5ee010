import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../../bench/faults/world.js';
import { must, until } from '../helpers/deadline.js';
import { busesHealthy, type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis } from '../helpers/redis.js';
import { type RedisCluster, startRedisCluster } from '../helpers/redis-cluster.js';

const TIMEOUT = { timeout: 180_000 };

describe.skipIf(!hasRedis)('two nodes on a Redis Cluster (skipped where there is no redis-server)', () => {
  let cluster: RedisCluster;
  let nodes: Nodes;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    const redis = { REDIS_URL: must(cluster.primaries[2]).url, REDIS_MODE: 'cluster' };
    nodes = await startNodes(['1', '2'].map((SHARDS) => ({ SHARDS, ...redis })));
  }, 120_000);
  afterAll(() => nodes?.stop());

  async function deliveries(world: World, count: number): Promise<void> {
    const before = world.clients.map(({ counts }) => counts.delivered);
    const again = () => world.clients.every(({ counts }, i) => counts.delivered >= must(before[i]) + count);
    await until(again, `${count} deliveries to every client`, 60_000);
  }

  test(
    'a primary is killed: its replica takes over, every stream stays whole and in order',
    TIMEOUT,
    async () => {
      const origins = () => nodes.servers.map(({ url }) => url);
      const world = await startWorld({ origins, clients: 6, rooms: 6, depth: 2, pauseMs: 20 });
      await busesHealthy(nodes.servers, true);
      await deliveries(world, 100);
      await must(cluster.primaries[0]).kill();
      await busesHealthy(nodes.servers, false);
      await deliveries(world, 50);
      await busesHealthy(nodes.servers, true);
      await deliveries(world, 100);
      expect(await world.judge()).toEqual([]);
    },
  );
});
