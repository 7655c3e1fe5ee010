import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { expect, inject, test } from 'vitest';
import { startWorld } from '../../bench/faults/world.js';
import { deferred } from '../../src/lib/deferred.js';
import { defaultMigrationsDir } from '../../src/store/migration-files.js';
import { migrateDown, migrateUp } from '../../src/store/migrations.js';
import { until } from '../helpers/deadline.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

/** What a later release may do while the present one runs: add, with a lock that is held for a moment only. */
const LATER = {
  '900001_add_a_column.up.sql': 'alter table messages add column later_text text;\n',
  '900001_add_a_column.down.sql': 'alter table messages drop column later_text;\n',
  '900002_index_it.up.sql':
    '-- no-transaction\ncreate index concurrently if not exists messages_later_idx on messages (later_text) where later_text is not null;\n',
  '900002_index_it.down.sql': '-- no-transaction\ndrop index concurrently if exists messages_later_idx;\n',
};

/** The project's migrations and those of the later release. */
async function laterRelease(): Promise<string> {
  const dir = await mkdtemp(join(inject('runDirectory'), 'migrations-'));
  await cp(defaultMigrationsDir(), dir, { recursive: true });
  for (const [name, text] of Object.entries(LATER)) await writeFile(join(dir, name), text);
  return dir;
}

test('the server goes on under load while a later release migrates up, and back down', {
  timeout: 120_000,
}, async () => {
  const server = await startServerWithDatabase({ SHARDS: '2' });
  const { url } = server.database;
  const dir = await laterRelease();

  const world = await startWorld({ origins: () => [server.url], clients: 6, rooms: 3, depth: 2, pauseMs: 5 });
  const acks = async (count: number) => {
    const enough = world.totals().acked + count;
    await until(() => world.totals().acked >= enough, `${count} more acks`);
  };
  await acks(200);
  // Two releases start at once: one migrates, the other waits.
  const changed = await Promise.all([migrateUp(url, { dir }), migrateUp(url, { dir })]);
  expect(changed.flatMap((each) => each.changed)).toEqual(['900001_add_a_column', '900002_index_it']);
  await acks(200);
  await migrateDown(url, { dir, all: false });
  await migrateDown(url, { dir, all: false });
  await acks(200);
  expect(await world.judge()).toEqual([]);
  await server.stop();
});

test('a migration that has to wait for a long reader holds up nobody else, and ends once the reader does', {
  timeout: 180_000,
}, async () => {
  const server = await startServerWithDatabase({ SHARDS: '2' });
  const { url } = server.database;
  const dir = await laterRelease();
  const [reader, watcher] = [postgres(url, { max: 1 }), postgres(url, { max: 1 })];
  const [begun, ended] = [deferred<void>(), deferred<void>()];
  const reading = reader.begin(async (tx) => {
    await tx`select count(*) from messages`;
    begun.resolve();
    await ended.promise;
  });
  await begun.promise;
  await expect(migrateUp(url, { dir, tablesTimeoutMs: 1 })).rejects.toThrow(
    /^migration 900001_add_a_column failed: a table was in use .* PostgreSQL backend \d+/,
  );

  const world = await startWorld({ origins: () => [server.url], clients: 6, rooms: 3, depth: 2, pauseMs: 5 });
  let isDone = false;
  const migrating = migrateUp(url, { dir }).finally(() => {
    isDone = true;
  });
  const blocked = async () =>
    (
      await watcher`select from pg_stat_activity
      where application_name = 'parley-migrate' and wait_event_type = 'Lock' and query like 'alter table messages%'`
    ).length > 0;
  // Through several attempts: each time it waits, requests are answered all the same.
  for (let attempt = 0; attempt < 3; attempt++) {
    await until(blocked, 'a migration that waits');
    await until(async () => !(await blocked()), 'its giving up');
    const enough = world.totals().acked + 100;
    await until(() => world.totals().acked >= enough, 'sends while it pauses', 30_000);
  }
  expect(isDone).toBe(false);
  expect(server.log().filter(({ event }) => event === 'database_unavailable')).toEqual([]);
  ended.resolve();
  await reading;
  expect((await migrating).changed).toEqual(['900001_add_a_column', '900002_index_it']);
  expect(await world.judge()).toEqual([]);
  await Promise.all([reader.end(), watcher.end()]);
  await server.stop();
});
