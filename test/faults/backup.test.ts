import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { describe, expect, inject, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';
import { historyFaults } from '../helpers/history-check.js';
import { startLoad } from '../helpers/load.js';
import { createCluster } from '../helpers/postgres-cluster.js';
import { dataOf, newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { startServer } from '../helpers/server-process.js';

const run = promisify(execFile);
const DEBIAN = '/usr/lib/postgresql';
/** A PostgreSQL of the system: the embedded one ships no pg_dump, and another version's refuses it. */
const version = (existsSync(DEBIAN) ? readdirSync(DEBIAN) : [])
  .filter((name) => Number(name) >= 15 && existsSync(join(DEBIAN, name, 'bin', 'pg_dump')))
  .at(-1);

describe.skipIf(version === undefined)('pg_dump (skipped where the machine has none)', () => {
  test('of a live server under load is restored to a log without a gap, with all that was acknowledged before', {
    timeout: 120_000,
  }, async () => {
    const nativeDir = join(DEBIAN, must(version));
    const directory = await mkdtemp(join(inject('runDirectory'), 'backup-'));
    const cluster = await createCluster({ directory, durable: false, nativeDir });
    const tool = (name: string, ...args: string[]) => run(join(nativeDir, 'bin', name), args);
    const original = cluster.url('parley');
    const restored = cluster.url('restored');
    await tool('createdb', `--maintenance-db=${cluster.url('postgres')}`, 'parley');
    await tool('createdb', `--maintenance-db=${cluster.url('postgres')}`, 'restored');

    const server = await startServer({ env: { DATABASE_URL: original, SHARDS: '2' } });
    const load = await startLoad({ server: () => server, members: 4, rooms: 3, ordered: false });
    await load.acks(300);
    const acked = load.senders.flatMap(({ sent }) => sent.filter(({ ack }) => ack !== null));
    const before = new Map(acked.map(({ id, ack }) => [id, must(ack).seq_no]));
    const file = join(directory, 'parley.dump');
    await tool('pg_dump', '--format=custom', `--file=${file}`, original);
    await load.acks(50);
    expect(await load.finish()).toEqual([]); // the dump disturbed nobody
    await tool('pg_restore', '--exit-on-error', '--no-owner', `--dbname=${restored}`, file);
    await server.stop();

    const checks = await readFile('scripts/check-log.sql', 'utf8');
    const sql = postgres(restored, { max: 1, onnotice: () => undefined });
    expect([...(await sql.unsafe(checks))]).toEqual([]);
    await sql.end();

    const second = await startServer({ env: { DATABASE_URL: restored, SHARDS: '2' } });
    const rest = restClient(second.url);
    for (const roomId of load.roomIds) {
      const history = await wholeHistory(rest, load.owner.token, roomId);
      const room = dataOf(await rest.getRoom(load.owner.token, roomId));
      expect(historyFaults(history, room)).toEqual([]);
      for (const { id, seq_no } of history) {
        const known = before.get(id);
        if (known !== undefined) expect(seq_no).toBe(known);
        before.delete(id);
      }
      const next = dataOf(await rest.send(load.owner.token, roomId, { content: 'after the restore' }));
      expect(next.seq_no).toBe(room.head_seq + 1);
    }
    expect([...before.keys()]).toEqual([]);
    await second.stop();
    await cluster.stop('immediate');
  });
});

test('the checker of the log names the room whose message is missing', async () => {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const server = await startServer({ env: { DATABASE_URL: database.url, SHARDS: '1' } });
  const rest = restClient(server.url);
  const account = await newAccount(rest);
  const room = await newRoom(rest, account);
  for (const content of ['one', 'two', 'three']) await rest.send(account.token, room.id, { content });
  const faults = async () => [...(await sql.unsafe(await readFile('scripts/check-log.sql', 'utf8')))];
  expect(await faults()).toEqual([]);
  await sql`delete from messages where room_id = ${room.id} and seq_no = 2`;
  expect(await faults()).toEqual([{ room_id: room.id, fault: 'messages are missing: 2 of 3' }]);
  await server.stop();
  await sql.end();
  await database.drop();
});
