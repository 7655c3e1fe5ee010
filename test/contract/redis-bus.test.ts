import { beforeAll, describe } from 'vitest';
import { redisBus } from '../../src/bus/redis-bus.js';
import { onOneServer } from '../../src/bus/redis-place.js';
import { until } from '../helpers/deadline.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { busContract } from './bus-contract.js';

const log = { info: () => undefined, warn: () => undefined };

describe.skipIf(!hasRedis)('skipped where the machine has no redis-server:', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  busContract('the Redis bus', async () => ({
    async connect(nodeId) {
      const bus = redisBus({ locate: onOneServer(redis.url), nodeId, log });
      await until(() => bus.healthy(), 'a bus that is connected');
      return bus;
    },
    close: async () => void (await redis.command('FLUSHALL')),
  }));
});
