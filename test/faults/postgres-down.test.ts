import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { migrateDatabase } from '../helpers/database-schema.js';
import { DEADLINE_MS, until, within } from '../helpers/deadline.js';
import { type Load, startLoad } from '../helpers/load.js';
import { createCluster, type PostgresCluster } from '../helpers/postgres-cluster.js';
import { newRoom, refusalOf, restClient } from '../helpers/rest-client.js';
import type { Sender } from '../helpers/sender.js';
import { type Server, startServer } from '../helpers/server-process.js';

const DATABASE = 'parley';
const OUTAGES = 2;

let cluster: PostgresCluster;
let server: Server;

beforeAll(async () => {
  const directory = await mkdtemp(join(inject('runDirectory'), 'cluster-'));
  cluster = await createCluster({ directory, durable: true });
  const admin = postgres(cluster.url('postgres'), { max: 1 });
  await admin`create database ${admin(DATABASE)}`;
  await admin.end();
  await migrateDatabase(cluster.url(DATABASE));
  server = await startServer({ env: { DATABASE_URL: cluster.url(DATABASE), SHARDS: '2' } });
});
afterAll(async () => {
  server.kill('SIGKILL');
  await cluster.stop('immediate');
});

/** A room of the load's owner that the load doesn't use: a refused send may yet have been committed. */
async function probeRoom(load: Load): Promise<string> {
  return (await newRoom(restClient(server.url), load.owner)).id;
}

/** Reads and sends are refused with `unavailable`, and not one of them stays without an answer. */
async function expectUnavailable(load: Load, roomId: string): Promise<void> {
  const rest = restClient(server.url);
  const { token } = load.owner;
  const refusalsOf = (sender: Sender): number => sender.refusals.get('unavailable') ?? 0;
  const before = load.senders.map(refusalsOf);
  const send = () => within(rest.send(token, roomId, { content: 'x' }), DEADLINE_MS, 'an answer to a send');
  const refused = await until(async () => {
    const answer = await send();
    return answer.body.success ? null : answer;
  }, 'a refused send');
  expect(refusalOf(refused)).toEqual({ status: 503, code: 'unavailable' });
  expect(refused.body.retry).toBe(true);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  const read = await within(rest.messages(token, roomId), DEADLINE_MS, 'an answer to a read');
  expect([200, 503]).toContain(read.status);
  expect((await within(rest.call('GET', '/health/live'), DEADLINE_MS, 'liveness')).status).toBe(200);
  await until(async () => (await rest.call('GET', '/health/ready')).status === 503, 'not ready');
  const allRefused = (): boolean => load.senders.every((sender, i) => refusalsOf(sender) > (before[i] ?? 0));
  await until(allRefused, 'a refusal over every socket');
}

/** What it takes to be well again, without a restart of anything. */
async function expectRecovery(load: Load, sockets: readonly unknown[]): Promise<void> {
  const rest = restClient(server.url);
  await load.acks(100);
  await until(async () => (await rest.call('GET', '/health/ready')).status === 200, 'ready again');
  expect(load.members.map((member) => member.client())).toEqual(sockets);
}

test('while PostgreSQL is down, answers are `unavailable`; when it is back, all goes on by itself and nothing acked is lost', {
  timeout: 120_000,
}, async () => {
  const load = await startLoad({ server: () => server, members: 4, rooms: 2, ordered: false });
  const probe = await probeRoom(load);
  const sockets = load.members.map((member) => member.client());
  for (let outage = 0; outage < OUTAGES; outage++) {
    await load.acks(100);
    await cluster.stop('immediate');
    await expectUnavailable(load, probe);
    await cluster.start();
    await expectRecovery(load, sockets);
  }
  expect(await load.finish()).toEqual([]);
});

test('while PostgreSQL is frozen, answers are `unavailable`; when it goes on, so does the server', {
  timeout: 120_000,
}, async () => {
  const load = await startLoad({ server: () => server, members: 4, rooms: 2, ordered: false });
  const probe = await probeRoom(load);
  const sockets = load.members.map((member) => member.client());
  await load.acks(100);
  await cluster.freeze();
  try {
    await expectUnavailable(load, probe);
  } finally {
    await cluster.thaw();
  }
  await expectRecovery(load, sockets);
  expect(await load.finish()).toEqual([]);
});
