import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { alerts, expressionOf } from '../../scripts/grafana/rules.js';
import { migrateDatabase } from '../helpers/database-schema.js';
import { must, until } from '../helpers/deadline.js';
import { type Load, startLoad } from '../helpers/load.js';
import { createCluster, type PostgresCluster } from '../helpers/postgres-cluster.js';
import { hasPrometheus, type Prometheus, type Sample, startPrometheus } from '../helpers/prometheus.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { restClient } from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';

const TOLD_WITHIN_MS = 60_000;

/** What was seen of one fault. */
interface Row {
  readonly fault: string;
  readonly alert: string;
  readonly query: string;
  readonly said: string;
}

/**
 * A game day: each fault is caused for real, and the alert that should tell of it is asked whether it does. At its end it
 * prints what was asked and what Prometheus said.
 */
describe.skipIf(!hasPrometheus || !hasRedis)('game day (skipped without prometheus or redis-server)', () => {
  let cluster: PostgresCluster;
  let redis: RedisServer;
  let server: Server;
  let prometheus: Prometheus;
  let load: Load;
  const rows: Row[] = [];

  beforeAll(async () => {
    cluster = await createCluster({
      directory: await mkdtemp(join(inject('runDirectory'), 'cluster-')),
      durable: false,
    });
    const admin = postgres(cluster.url('postgres'), { max: 1 });
    await admin`create database parley`;
    await admin.end();
    await migrateDatabase(cluster.url('parley'));
    redis = await startRedis();
    server = await startServer({
      env: {
        DATABASE_URL: cluster.url('parley'),
        REDIS_URL: redis.url,
        SHARDS: '2',
        PARLEY_TEST_FAULTS: '1',
        AUTH_RATE_LIMIT_PER_MINUTE: '20',
      },
    });
    prometheus = await startPrometheus([server.metricsPort]);
    load = await startLoad({ server: () => server, members: 4, rooms: 4, ordered: false });
    await load.acks(100);
  }, 90_000);
  afterAll(async () => {
    process.stdout.write(rows.map(printed).join(''));
    server.kill('SIGKILL');
    await cluster.stop('immediate');
  });

  /** Waits until the alert's whole expression holds, without its `for`, or no longer does. */
  async function tells(name: string, holds = true): Promise<Row> {
    const alert = must(
      alerts.find((each) => each.name === name),
      name,
    );
    const query = expressionOf(alert);
    let samples: readonly Sample[] = [];
    const asks = async (): Promise<boolean> => {
      samples = await prometheus.query(query);
      return samples.length > 0;
    };
    await until(async () => (await asks()) === holds, `${name} ${holds ? 'told' : 'quiet'}`, TOLD_WITHIN_MS);
    return { fault: '', alert: name, query, said: samples.map(shown).join(', ') };
  }

  async function tellsOf(fault: string, name: string): Promise<void> {
    rows.push({ ...(await tells(name)), fault });
  }

  const quiet = [
    'ParleyDown',
    'ParleyDatabaseDown',
    'ParleyBusDown',
    'ParleyShardCrashes',
    'ParleyLoginsRefused',
  ];

  test('a server that is well sets off none of these', { timeout: TOLD_WITHIN_MS }, async () => {
    await until(async () => (await prometheus.query('up == 1')).length === 1, 'a scrape');
    for (const name of quiet) await tells(name, false);
  });

  test('Redis away: ParleyBusDown', { timeout: 2 * TOLD_WITHIN_MS }, async () => {
    await redis.stop();
    await tellsOf('Redis stopped', 'ParleyBusDown');
    await redis.start();
    await tells('ParleyBusDown', false);
  });

  test('PostgreSQL away: ParleyDatabaseDown and ParleySendsFail', {
    timeout: 3 * TOLD_WITHIN_MS,
  }, async () => {
    await cluster.stop('immediate');
    await tellsOf('PostgreSQL stopped', 'ParleyDatabaseDown');
    await tells('ParleySendsFail');
    await cluster.start();
    await tells('ParleyDatabaseDown', false);
    await load.acks(20);
  });

  test('a shard that crashes: ParleyShardCrashes', { timeout: TOLD_WITHIN_MS }, async () => {
    server.writeLine('{"crash_shard": 1}');
    await tellsOf('a shard crashed', 'ParleyShardCrashes');
    await load.acks(20);
  });

  test('somebody who guesses passwords: ParleyLoginsRefused', { timeout: TOLD_WITHIN_MS }, async () => {
    const rest = restClient(server.url);
    const guess = () => rest.login({ email: 'ann@example.org', password: 'a guess of somebody' });
    const guessing = setInterval(() => void Promise.all([guess(), guess()]).catch(() => undefined), 50);
    try {
      await tellsOf('passwords guessed', 'ParleyLoginsRefused');
    } finally {
      clearInterval(guessing);
    }
  });

  test('a process that is killed: ParleyDown', { timeout: TOLD_WITHIN_MS }, async () => {
    expect(await load.finish()).toEqual([]);
    server.kill('SIGKILL');
    await tellsOf('the process killed', 'ParleyDown');
  });
});

/** A sample as the expression browser shows it, with the labels that tell of what it is. */
function shown({ metric, value }: Sample): string {
  const labels = Object.entries(metric).filter(([name]) => name !== '__name__' && name !== 'instance');
  const text = labels.map(([name, of]) => `${name}="${of}"`).join(', ');
  return `{${text}} ${Number(Number(value[1]).toPrecision(3))}`;
}

function printed({ fault, alert, query, said }: Row): string {
  return `${fault}\n  asked: ${query}\n  said:  ${said}\n  alert: ${alert}\n`;
}
