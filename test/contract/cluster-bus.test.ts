import { beforeAll, describe, expect, test } from 'vitest';
import { clusterBus } from '../../src/bus/cluster-bus.js';
import { inCluster } from '../../src/bus/redis-place.js';
import { GROUPS, groupKey } from '../../src/bus/redis-streams.js';
import { sharedLimits } from '../../src/bus/shared-limits.js';
import { PARTITIONS } from '../../src/protocol/ids.js';
import { must, until } from '../helpers/deadline.js';
import { hasRedis } from '../helpers/redis.js';
import { type RedisCluster, startRedisCluster } from '../helpers/redis-cluster.js';
import { busContract } from './bus-contract.js';

const log = { info: () => undefined, warn: () => undefined };
const TIMEOUT = { timeout: 60_000 };
const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);

describe.skipIf(!hasRedis)('skipped where the machine has no redis-server:', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);

  async function connect(nodeId: string) {
    const { url } = must(cluster.primaries[1]);
    const bus = clusterBus({ url, nodeId, log });
    await until(() => bus.healthy(), 'a bus that is connected', 30_000);
    return bus;
  }

  busContract('the bus over a Redis Cluster', async () => ({
    connect,
    close: async () => {
      for (const primary of cluster.primaries) await primary.command('FLUSHALL');
    },
  }));

  test('groups of partitions lie on several nodes', TIMEOUT, async () => {
    const locate = inCluster(must(cluster.primaries[0]).url);
    const places = await Promise.all(Array.from({ length: GROUPS }, (_, group) => locate(groupKey(group))));
    expect(new Set(places.map(({ port }) => port)).size).toBe(cluster.primaries.length);
  });

  test('limits are counted over all nodes', TIMEOUT, async () => {
    const [one, other] = cluster.primaries.map(({ url }) => sharedLimits({ locate: inCluster(url), log }));
    const limit = { perMinute: 3 };
    const [here, there] = [must(one).limiter('test', limit), must(other).limiter('test', limit)];
    await until(async () => (await here.take('first')) !== null, 'an answer');
    await until(async () => (await there.take('first')) !== null, 'an answer');
    expect([await here.take('a'), await there.take('a'), await here.take('a')]).toEqual([0, 0, 0]);
    expect(await there.take('a')).toBeGreaterThan(0);
    await must(one).close();
    await must(other).close();
  });

  // The last: it leaves the cluster without one of its nodes.
  test(
    'a primary is killed: its replica is found, and entries of all partitions come again',
    TIMEOUT,
    async () => {
      const [publisher, listener] = [await connect('a'), await connect('b')];
      const heard = new Set<number>();
      await listener.subscribe(ALL, (partition) => heard.add(partition));
      await must(cluster.primaries[0]).kill();
      await until(() => !publisher.healthy() && !listener.healthy(), 'the buses being unhealthy', 30_000);
      await until(() => publisher.healthy() && listener.healthy(), 'the buses being healthy', 30_000);
      await until(() => {
        for (const partition of ALL)
          if (!heard.has(partition)) publisher.publish(partition, Buffer.of(partition));
        return heard.size === ALL.length;
      }, 'an entry of every partition');
      await publisher.close();
      await listener.close();
    },
  );
});
