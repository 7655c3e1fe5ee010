import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { createMigration, readMigrations } from '../../src/store/migration-files.js';
import { migrateDown, migrateUp, migrationStatus } from '../../src/store/migrations.js';

let dataDir: string;
let cluster: EmbeddedPostgres;
let databases = 0;
let dir: string;
let url: string;
let sql: postgres.Sql;

function connect(to: string): postgres.Sql {
  return postgres(to, { max: 2, onnotice: () => {} });
}

/** Writes files as `000001_name.up.sql` → text. */
function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, `${name}.sql`), text);
}

async function tables(): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public' order by tablename`;
  return rows.map((row) => row.name);
}

async function states(): Promise<string[]> {
  return (await migrationStatus(url, { dir })).map((row) => `${row.version} ${row.name} ${row.state}`);
}

const TWO = {
  '000001_one.up': 'create table one (n int);\ninsert into one values (1);',
  '000001_one.down': 'drop table one;',
  '000002_two.up': 'create table two (n int);',
  '000002_two.down': 'drop table two;',
};

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'parley-migrations-'));
  cluster = await startEmbeddedPostgres({ dataDir, log: () => {} });
}, 60_000);

afterAll(async () => {
  await cluster.stop();
  rmSync(dataDir, { recursive: true, force: true });
}, 60_000);

beforeEach(async () => {
  databases += 1;
  const own = new URL(cluster.url);
  own.pathname = `/test_${databases}`;
  url = own.href;
  const admin = connect(cluster.url);
  await admin.unsafe(`create database test_${databases}`);
  await admin.end();
  sql = connect(url);
  dir = mkdtempSync(join(tmpdir(), 'parley-migration-files-'));
});

afterEach(async () => {
  await sql.end();
  rmSync(dir, { recursive: true, force: true });
});

describe('migrations', { timeout: 30_000 }, () => {
  it('go up once, and down one by one or all', async () => {
    write(TWO);
    expect(await states()).toEqual(['1 one pending', '2 two pending']);
    expect(await tables()).toEqual([]); // asking for the status writes nothing
    expect(await migrateUp(url, { dir })).toEqual({ changed: ['000001_one', '000002_two'], warnings: [] });
    expect(await migrateUp(url, { dir })).toEqual({ changed: [], warnings: [] });
    expect(await states()).toEqual(['1 one applied', '2 two applied']);
    expect((await migrateDown(url, { dir, all: false })).changed).toEqual(['000002_two']);
    expect(await tables()).toEqual(['one', 'schema_migrations']);
    await migrateUp(url, { dir });
    expect((await migrateDown(url, { dir, all: true })).changed).toEqual(['000002_two', '000001_one']);
    expect((await migrateDown(url, { dir, all: true })).changed).toEqual([]);
    expect(await tables()).toEqual(['schema_migrations']);
  });

  it('of which one fails leave no trace of it, keep those before, and go on when it is mended', async () => {
    write({ ...TWO, '000002_two.up': 'create table two (n int);\nselect 1 / 0;' });
    await expect(migrateUp(url, { dir })).rejects.toThrow('migration 000002_two failed: division by zero');
    expect(await tables()).toEqual(['one', 'schema_migrations']);
    write(TWO);
    expect((await migrateUp(url, { dir })).changed).toEqual(['000002_two']);
  });

  it('run by many nodes at once are applied once', async () => {
    write({ ...TWO, '000001_one.up': 'select pg_sleep(0.2);\ncreate table one (n int);' });
    const runs = await Promise.all(Array.from({ length: 6 }, () => migrateUp(url, { dir })));
    expect(runs.flatMap((run) => run.changed)).toEqual(['000001_one', '000002_two']);
  });

  it('give up, naming the holder, when another node keeps the lock', async () => {
    write({ '000001_slow.up': "select pg_sleep(2); -- '" });
    const slow = migrateUp(url, { dir });
    const running = async (): Promise<boolean> =>
      (
        await sql`select from pg_stat_activity where query like 'select pg_sleep(2)%' and state = 'active'
        and application_name = 'parley-migrate'`
      ).length > 0;
    while (!(await running())) await new Promise((resolve) => setTimeout(resolve, 10));
    await expect(migrateUp(url, { dir, lockTimeoutMs: 50 })).rejects.toThrow(
      /^PostgreSQL backend \d+ is migrating/,
    );
    await slow;
  });

  it('changed after they were applied are refused by name, whatever their line ends', async () => {
    write(TWO);
    await migrateUp(url, { dir });
    write({ '000001_one.up': TWO['000001_one.up'].replaceAll('\n', '\r\n') });
    expect(await migrateUp(url, { dir })).toEqual({ changed: [], warnings: [] });
    write({ '000001_one.up': 'create table other (n int);' });
    expect(await states()).toEqual(['1 one changed', '2 two applied']);
    await expect(migrateUp(url, { dir })).rejects.toThrow(/^000001_one changed after it was applied/);
  });

  it('of a newer release, and late ones, are tolerated with a warning', async () => {
    write({ '000003_three.up': 'create table three (n int);' });
    await migrateUp(url, { dir });
    rmSync(join(dir, '000003_three.up.sql'));
    write(TWO);
    expect(await migrateUp(url, { dir })).toEqual({
      changed: ['000001_one', '000002_two'],
      warnings: [
        '000001_one was applied after newer ones',
        '000002_two was applied after newer ones',
        "the database has 000003_three, which this release doesn't know",
      ],
    });
    expect(await states()).toEqual(['1 one applied', '2 two applied', '3 three unknown']);
    await expect(migrateDown(url, { dir, all: true })).rejects.toThrow(
      /^000003_three is unknown to this release/,
    );
    expect(await tables()).toContain('two');
  });

  it('without a transaction can create an index concurrently, while other nodes wait', async () => {
    write({
      '000001_one.up': 'create table one (n int);',
      '000002_index.up':
        '-- no-transaction\n-- two statements; each on its own\ndrop index concurrently if exists one_n;\n' +
        'create index concurrently one_n on one (n);\n',
      '000002_index.down': '-- no-transaction\ndrop index concurrently one_n;\n',
    });
    await Promise.all([migrateUp(url, { dir }), migrateUp(url, { dir }), migrateUp(url, { dir })]);
    expect(await sql`select indisvalid from pg_index where indexrelid = 'one_n'::regclass`).toEqual([
      { indisvalid: true },
    ]);
    expect((await migrateDown(url, { dir, all: false })).changed).toEqual(['000002_index']);
  });

  it('are read strictly: names, twins, lonely down files', async () => {
    write({ '000001_one.up': '', '000001_two.up': '' });
    await expect(readMigrations(dir)).rejects.toThrow(/000001_two\.up\.sql: 000001_one has the same number/);
    rmSync(join(dir, '000001_two.up.sql'));
    write({ '000002_two.down': '' });
    await expect(readMigrations(dir)).rejects.toThrow(/000002_two\.down\.sql: there is no up file/);
    rmSync(join(dir, '000002_two.down.sql'));
    write({ '2_two.up': '' });
    await expect(readMigrations(dir)).rejects.toThrow(/2_two\.up\.sql: a migration is named/);
  });

  it('that are created get the next number, and both directions', async () => {
    write(TWO);
    const paths = await createMigration('Add pins-table', dir);
    expect(paths).toEqual(['up', 'down'].map((way) => join(dir, `000003_add_pins_table.${way}.sql`)));
    await expect(createMigration('../x', dir)).rejects.toThrow(/letters, digits/);
  });

  it('of the project itself go up, all the way down and up again', async () => {
    const first = await migrateUp(url);
    const made = await tables();
    const down = await migrateDown(url, { all: true });
    expect(down.changed).toEqual([...first.changed].reverse());
    expect(await tables()).toEqual(['schema_migrations']);
    await migrateUp(url);
    expect(await tables()).toEqual(made);
  });
});
