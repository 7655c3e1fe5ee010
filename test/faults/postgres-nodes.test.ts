import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startWorld, type World } from '../../bench/faults/world.js';
import { migrateDatabase } from '../helpers/database-schema.js';
import { until } from '../helpers/deadline.js';
import { createCluster, type PostgresCluster } from '../helpers/postgres-cluster.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { type Server, startServer } from '../helpers/server-process.js';

const OUTAGE_MS = 30_000;

describe.skipIf(!hasRedis)(
  'two nodes whose PostgreSQL fails (skipped where there is no redis-server)',
  () => {
    let redis: RedisServer;
    let cluster: PostgresCluster;
    let servers: Server[];

    beforeAll(async () => {
      redis = await startRedis();
      cluster = await createCluster({
        directory: await mkdtemp(join(inject('runDirectory'), 'cluster-')),
        durable: true,
      });
      const admin = postgres(cluster.url('postgres'), { max: 1 });
      await admin`create database parley`;
      await admin.end();
      await migrateDatabase(cluster.url('parley'));
      const env = { DATABASE_URL: cluster.url('parley'), REDIS_URL: redis.url };
      servers = await Promise.all(['2', '1'].map((SHARDS) => startServer({ env: { ...env, SHARDS } })));
    });
    afterAll(async () => {
      for (const server of servers) server.kill('SIGKILL');
      await cluster.stop('immediate');
      await redis.kill();
    });

    async function everybodySends(world: World, count: number): Promise<void> {
      const before = world.clients.map(({ counts }) => counts.acked);
      const again = () => world.clients.every(({ counts }, i) => counts.acked >= (before[i] ?? 0) + count);
      await until(again, `${count} acks of every client`, 30_000);
    }

    test('restarted three times and away for 30 s, all goes on by itself and every promise is kept', {
      timeout: 240_000,
    }, async () => {
      const world = await startWorld({
        origins: () => servers.map(({ url }) => url),
        clients: 6,
        rooms: 3,
        depth: 2,
        pauseMs: 10,
      });
      for (const stop of ['immediate', 'fast', 'immediate'] as const) {
        await everybodySends(world, 20);
        await cluster.stop(stop);
        await cluster.start();
      }
      await everybodySends(world, 20);
      await cluster.stop('immediate');
      await sleep(OUTAGE_MS); // the fault itself, not a wait for anything
      await cluster.start();
      const back = performance.now();
      await everybodySends(world, 5);
      const ms = Math.round(performance.now() - back);
      process.stdout.write(`every client sends again ${ms} ms after PostgreSQL took connections again\n`);
      expect(await world.judge()).toEqual([]);
    });
  },
);
