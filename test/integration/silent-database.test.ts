import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Db, isUnavailable, openDatabase, type Tx } from '../../src/store/client.js';
import { createAuthority } from '../helpers/certificates.js';
import { type CuttableLink, startLink } from '../helpers/cuttable-link.js';
import { until, within } from '../helpers/deadline.js';
import { createCluster, type PostgresCluster } from '../helpers/postgres-cluster.js';

const GIVEN_UP_MS = 20_000;
const what = 'an outcome';

/** What a statement came to: null for success. */
const outcome = (statement: PromiseLike<unknown>) =>
  Promise.resolve(statement).then(
    () => null,
    (error: unknown) => error,
  );

let secured: PostgresCluster;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'parley-silent-'));
  const tls = createAuthority(directory, 'authority').issue('postgres', 'IP:127.0.0.1');
  secured = await createCluster({ directory, durable: false, tls });
});
afterAll(async () => {
  await secured.stop('immediate');
  await rm(directory, { recursive: true, force: true });
});

describe.each([
  ['in the clear', () => inject('adminUrl')],
  ['over TLS', () => `${secured.url('postgres')}?sslmode=require`],
])('a connection %s', (_how, address) => {
  let link: CuttableLink;
  let db: Db;

  beforeEach(async () => {
    const real = new URL(address());
    link = await startLink({ host: real.hostname, port: Number(real.port) });
    db = openDatabase(Object.assign(real, { host: `127.0.0.1:${link.port}` }).href, 1, 'silent');
    await db`select 1`;
  });
  afterEach(async () => {
    link.close();
    await db.end({ timeout: 0 });
  });

  test.each([
    ['known already', async () => void (await db`select ${1}::int, pg_sleep(${0}::int)`)],
    ['seen for the first time', async () => {}],
  ])(
    'a statement that follows another on a connection is given up when only the first was answered: %s',
    {
      timeout: 60_000,
    },
    async (_name, prepare) => {
      await prepare();
      const first = outcome(db`select ${1}::int`);
      const second = outcome(db`select ${1}::int, pg_sleep(${1}::int)`);
      expect(await within(first, GIVEN_UP_MS, what)).toBeNull();
      link.cut();
      expect(await within(second, GIVEN_UP_MS, what)).toSatisfy(isUnavailable);
      link.heal();
      // What the driver puts on the connection before it has ended fails too, rather than never.
      const works = async () => (await within(outcome(db`select 1`), GIVEN_UP_MS, what)) === null;
      await until(works, 'a fresh connection');
    },
  );

  test('a connection that owes nothing stays, whatever went over it', { timeout: 60_000 }, async () => {
    const pid = async () => (await db<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]?.pid;
    const before = await pid();
    await outcome(db`select 1 / 0`); // fails when it runs
    await outcome(db`select ${'x'}::int`);
    await outcome(db`select no_such_function(${'x'})`); // fails when it is described
    await db.unsafe('select 1; select 2');
    await db`select repeat('a', 1000) from generate_series(1, 5000)`; // comes in many parts
    await db.begin((tx) => Promise.all([tx`select ${1}::int`, tx`select ${2}::int`]));
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    expect(await pid()).toBe(before);
  });

  test('a transaction whose connection PostgreSQL ends is refused, nothing is thrown beside it, and others work again', {
    timeout: 60_000,
  }, async () => {
    const other = openDatabase(address(), 1, 'administrator');
    const pidIn = async (tx: Tx) =>
      (await tx<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]?.pid ?? 0;
    const end = (pid: number) => other`select pg_terminate_backend(${pid}::int)`;
    for (let round = 0; round < 20; round++) {
      const ended = db.begin(async (tx) => {
        const pid = await pidIn(tx);
        if (round % 2 === 0) await end(pid);
        await tx`select pg_terminate_backend(${pid}::int)`;
      });
      expect(await within(outcome(ended), GIVEN_UP_MS, what)).toSatisfy(isUnavailable);
      const next = () => db.begin((tx) => [tx`select ${1}::int`, tx`select ${2}::int`]);
      await until(async () => (await within(outcome(next()), GIVEN_UP_MS, what)) === null, 'the next one');
    }
    await other.end({ timeout: 0 });
  });

  test('PostgreSQL is told when to take the other side for gone', async () => {
    const settings = await db<{ name: string; setting: string }[]>`
      select name, setting from pg_settings where name like 'tcp_keepalives_%' or name = 'tcp_user_timeout'`;
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      tcp_keepalives_idle: '15',
      tcp_keepalives_interval: '5',
      tcp_keepalives_count: '3',
      tcp_user_timeout: '30000',
    });
  });
});
