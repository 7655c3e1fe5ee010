import { mkdtempSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openLink } from '../../src/bus/redis-link.js';
import { onOneServer } from '../../src/bus/redis-place.js';
import { openDatabase, run, StoreUnavailable } from '../../src/store/client.js';
import { type Authority, createAuthority } from '../helpers/certificates.js';
import { until, within } from '../helpers/deadline.js';
import { createCluster, type PostgresCluster } from '../helpers/postgres-cluster.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { dataOf, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { spawnServer, spawnTracked, startServer } from '../helpers/server-process.js';

/** A PostgreSQL and a Redis whose certificates are for IP addresses, signed by an authority that few know. */
const hasIpv6 = (networkInterfaces().lo ?? []).some(({ address }) => address === '::1');
const ADDRESSES = ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])];
const OTHER_ADDRESS = '127.0.0.2';
const COMMAND_DEADLINE_MS = 20_000;

let authority: Authority;
let stranger: Authority;
let cluster: PostgresCluster;
let directory: string;

beforeAll(async () => {
  const files = mkdtempSync(join(inject('runDirectory'), 'tls-stores-'));
  authority = createAuthority(files, 'authority');
  stranger = createAuthority(files, 'stranger');
  directory = await mkdtemp(join(tmpdir(), 'parley-tls-'));
  cluster = await createCluster({
    directory,
    durable: false,
    tls: authority.issue('postgres', ADDRESSES.map((address) => `IP:${address}`).join()),
    settings: [`listen_addresses=${[...ADDRESSES, OTHER_ADDRESS].join()}`],
  });
});
afterAll(async () => {
  await cluster.stop('immediate');
  await rm(directory, { recursive: true, force: true });
});

function urlAt(host: string, sslmode: string): string {
  const url = new URL(cluster.url('postgres'));
  url.host = `${host.includes(':') ? `[${host}]` : host}:${url.port}`;
  url.searchParams.set('sslmode', sslmode);
  return url.href;
}

/** `npm run migrate -- status`, which fails as the server's start does. */
async function status(url: string, trusted: Authority): Promise<{ code: number | null; said: string }> {
  const env = { DATABASE_URL: url, NODE_EXTRA_CA_CERTS: trusted.cert };
  const child = spawnTracked(process.execPath, ['dist/src/migrate.js', 'status'], env);
  const { code } = await within(child.exit, COMMAND_DEADLINE_MS, 'the end of status');
  return { code, said: child.lines.join('\n') };
}

describe('PostgreSQL', () => {
  test.each(ADDRESSES)('verify-full takes a certificate for the IP address %s', async (address) => {
    expect(await status(urlAt(address, 'verify-full'), authority)).toMatchObject({ code: 0 });
  });

  test.each([
    [OTHER_ADDRESS, `IP: ${OTHER_ADDRESS} is not in the cert's list`],
    ['localhost', "Host: localhost. is not cert's CN"],
  ])('verify-full refuses %s, which the certificate isn’t for', async (host, reason) => {
    const { code, said } = await status(urlAt(host, 'verify-full'), authority);
    expect(said).toContain(reason);
    expect(code).toBe(1);
  });

  test('an authority that isn’t trusted is refused at the start, with the reason', async () => {
    const server = await spawnServer({
      DATABASE_URL: urlAt('127.0.0.1', 'verify-full'),
      NODE_EXTRA_CA_CERTS: stranger.cert,
    });
    expect((await server.exit).code).toBe(1);
    const failed = server.lines.find((line) => line.includes('unable to verify the first certificate'));
    expect(failed?.length).toBeLessThan(2_000); // no dump of the certificate
  });

  test('a certificate that is no good any more makes the database unavailable, with the reason', async () => {
    const db = openDatabase(urlAt('127.0.0.1', 'verify-full'), 1, 'test');
    const failed = await run(db`select 1`).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(StoreUnavailable);
    expect(String((failed as Error).cause)).toMatch(/unable to verify the first certificate/);
    await db.end();
  });
});

describe.skipIf(!hasRedis)('Redis (skipped where the machine has no redis-server)', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis([], authority.issue('redis', 'IP:127.0.0.1'));
  });

  test('a server speaks TLS alone with both, each at its IP address', async () => {
    const server = await startServer({
      env: {
        DATABASE_URL: urlAt('127.0.0.1', 'verify-full'),
        REDIS_URL: redis.url,
        NODE_EXTRA_CA_CERTS: authority.cert,
      },
    });
    const health = async () => {
      const answer = await fetch(`${server.url}/api/v1/health`);
      return answer.status === 200 ? ((await answer.json()) as { data: unknown }).data : null;
    };
    expect(await until(health, 'a server that is well')).toMatchObject({ database: true, redis: true });
    const rest = restClient(server.url);
    const account = await newAccount(rest);
    const room = await newRoom(rest, account);
    expect(dataOf(await rest.send(account.token, room.id, { content: 'unread on the way' })).seq_no).toBe(1);
    const sql = postgres(cluster.url('postgres'), { max: 1 });
    const connections = await sql`
      select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'parley-%'`;
    await sql.end();
    expect(connections.length).toBeGreaterThan(1);
    expect(connections.every(({ ssl }) => ssl)).toBe(true);
    await server.stop();
  });

  test.each([
    [
      'an authority that isn’t trusted',
      '127.0.0.1',
      () => stranger,
      'unable to verify the first certificate',
    ],
    ['a name that the certificate isn’t for', 'localhost', () => authority, "localhost. is not cert's CN"],
  ])('%s is refused, with the reason', async (_, host, trusted, reason) => {
    const causes: unknown[] = [];
    const place = await onOneServer(redis.url)();
    const link = openLink({
      locate: async () => ({ ...place, host, tls: { ca: readFileSync(trusted().cert) } }),
      name: 'test',
      log: { warn: (_event, { cause }) => void causes.push(cause), info: () => undefined },
    });
    expect(String(await until(() => causes[0], 'a reason'))).toContain(reason);
    expect(link.ready()).toBe(false);
    await link.close();
  });
});
