/**
 * The schema's history: plain SQL files `migrations/NNNNNN_name.up.sql` and `.down.sql`, applied in order of their
 * numbers and recorded in schema_migrations.
 *
 * A file and its row are one transaction. A file whose first line is `-- no-transaction` opts out (CREATE INDEX
 * CONCURRENTLY can't run in one): its statements, each ending with a semicolon at the end of a line, run one by one
 * and must bear being run again, because a crash between them and the row repeats the file.
 *
 * Locks on tables are waited for briefly and again and again (migration-locks.ts), so that a migration that has to wait
 * for a long reader holds up nobody else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { addressOf } from './client.js';
import { defaultMigrationsDir, type Migration, readMigrations, type Step } from './migration-files.js';
import { GIVE_UP_AFTER_MS, statementWithShortLocks, withShortLocks } from './migration-locks.js';
import { applySearchLanguage } from './search-language.js';

export interface MigrationOptions {
  /** Directory of the files; the checkout's own by default. */
  readonly dir?: string;
  /** How long to wait for another node's migrations, in ms. */
  readonly lockTimeoutMs?: number;
  /** How long a file goes on trying to get the locks on its tables, in ms. */
  readonly tablesTimeoutMs?: number;
  /** The language that messages are searched in (a text search configuration); left as it is by default. */
  readonly searchLanguage?: string;
}

export interface MigrationChange {
  /** In the order in which they ran, as `000001_name`; then `search_language=german`, where that changed. */
  readonly changed: readonly string[];
  /** Sentences about what was tolerated. */
  readonly warnings: readonly string[];
}

/** `pending`: not applied; `changed`: applied from other text; `unknown`: applied, but this code has no such file. */
export type MigrationState = 'applied' | 'pending' | 'changed' | 'unknown';

export interface MigrationStatus {
  readonly version: number;
  readonly name: string;
  readonly state: MigrationState;
  readonly appliedAt: Date | null;
}

interface Applied {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly applied_at: Date;
}

type Sql = postgres.Sql;

const LOCK_KEY = 7_206_412_337; // any number that no other program uses in this database
const LOCK_TIMEOUT_MS = 60_000; // longer than a migration should take; the next start tries again
const LOCK_RETRY_MS = 100;
const CONNECT_TIMEOUT_S = 10;

/**
 * Applies what is pending. Safe to run from many nodes at once: one works, the others wait and find nothing to do.
 * Versions that this code doesn't know (a newer release was here) and a pending file older than the newest applied
 * one are warnings.
 *
 * @throws naming the file: it was changed after it was applied, or its SQL failed (what came before it stays); or
 * a lock wasn't free in time; UnknownSearchLanguage
 */
export function migrateUp(url: string, options: MigrationOptions = {}): Promise<MigrationChange> {
  return underLock(url, options, async (sql, files) => {
    const statuses = compare(files, await readApplied(sql));
    refuseChanged(statuses);
    const newest = Math.max(0, ...statuses.filter((row) => row.appliedAt !== null).map((row) => row.version));
    const pending = files.filter((file) => stateOf(statuses, file.version) === 'pending');
    const { searchLanguage, tablesTimeoutMs = GIVE_UP_AFTER_MS } = options;
    for (const file of pending) await apply(sql, file, tablesTimeoutMs);
    const language =
      searchLanguage !== undefined && (await applySearchLanguage(sql, searchLanguage, tablesTimeoutMs));
    const late = pending.filter((file) => file.version < newest);
    const unknown = statuses.filter((row) => row.state === 'unknown');
    return {
      changed: [
        ...pending.map((file) => file.id),
        ...(language ? [`search_language=${searchLanguage}`] : []),
      ],
      warnings: [
        ...late.map((file) => `${file.id} was applied after newer ones`),
        ...unknown.map((row) => `the database has ${idOf(row)}, which this release doesn't know`),
      ],
    };
  });
}

/**
 * Undoes the newest applied migration, or with `all` every one, newest first.
 *
 * @throws before anything is undone, where one of them is unknown here or has no down file; otherwise as migrateUp
 */
export function migrateDown(
  url: string,
  options: MigrationOptions & { all: boolean },
): Promise<MigrationChange> {
  return underLock(url, options, async (sql, files) => {
    const applied = (await readApplied(sql)).reverse().slice(0, options.all ? undefined : 1);
    const undone = applied.map((row) => {
      const file = files.find(({ version }) => version === row.version);
      if (!file)
        throw new Error(`${idOf(row)} is unknown to this release; undo it with the one that brought it`);
      if (!file.down) throw new Error(`${file.id} can't be undone: it has no ${file.id}.down.sql`);
      return { ...file, step: file.down };
    });
    const { tablesTimeoutMs = GIVE_UP_AFTER_MS } = options;
    for (const { step, id, version } of undone) {
      await perform(
        sql,
        step,
        id,
        tablesTimeoutMs,
        (tx) => tx`delete from schema_migrations where version = ${version}`,
      );
    }
    return { changed: undone.map(({ id }) => id), warnings: [] };
  });
}

/** All migrations that the files or the database know, by version. Changes nothing, waits for no lock. */
export async function migrationStatus(
  url: string,
  options: MigrationOptions = {},
): Promise<MigrationStatus[]> {
  const files = await readMigrations(options.dir ?? defaultMigrationsDir());
  return withConnection(url, async (sql) => {
    const [table] = await sql<
      { exists: boolean }[]
    >`select to_regclass('schema_migrations') is not null as exists`;
    return compare(files, table?.exists ? await readApplied(sql) : []);
  });
}

function compare(files: readonly Migration[], applied: readonly Applied[]): MigrationStatus[] {
  const rows = new Map(applied.map((row) => [row.version, row]));
  const known = files.map(({ version, name, checksum }): MigrationStatus => {
    const row = rows.get(version);
    rows.delete(version);
    if (!row) return { version, name, state: 'pending', appliedAt: null };
    const state = row.checksum === checksum ? 'applied' : 'changed';
    return { version, name, state, appliedAt: row.applied_at };
  });
  const unknown = [...rows.values()].map(
    ({ version, name, applied_at }): MigrationStatus => ({
      version,
      name,
      state: 'unknown',
      appliedAt: applied_at,
    }),
  );
  return [...known, ...unknown].sort((a, b) => a.version - b.version);
}

function refuseChanged(statuses: readonly MigrationStatus[]): void {
  const changed = statuses.filter((row) => row.state === 'changed').map(idOf);
  if (changed.length > 0) {
    throw new Error(
      `${changed.join(', ')} changed after it was applied; restore the file, and put the change in a new one`,
    );
  }
}

function stateOf(statuses: readonly MigrationStatus[], version: number): MigrationState | undefined {
  return statuses.find((row) => row.version === version)?.state;
}

function idOf({ version, name }: { version: number; name: string }): string {
  return `${String(version).padStart(6, '0')}_${name}`;
}

async function apply(sql: Sql, file: Migration, tablesTimeoutMs: number): Promise<void> {
  const { id, version, name, checksum, up } = file;
  const row = { version, name, checksum };
  await perform(sql, up, id, tablesTimeoutMs, (tx) => tx`insert into schema_migrations ${tx(row)}`);
}

/** Runs a file and then its bookkeeping. */
async function perform(
  sql: Sql,
  step: Step,
  id: string,
  tablesTimeoutMs: number,
  record: (tx: Sql | postgres.TransactionSql) => PromiseLike<unknown>,
): Promise<void> {
  try {
    if (step.inTransaction) {
      await withShortLocks(sql, tablesTimeoutMs, async (tx) => {
        await tx.unsafe(step.sql);
        await record(tx);
      });
    } else {
      for (const statement of step.statements) {
        await statementWithShortLocks(sql, tablesTimeoutMs, statement);
      }
      await record(sql);
    }
  } catch (error) {
    throw new Error(`migration ${id} failed: ${(error as Error).message}`, { cause: error });
  }
}

async function readApplied(sql: Sql): Promise<Applied[]> {
  return await sql<Applied[]>`
    select version, name, checksum, applied_at from schema_migrations order by version`;
}

/** One connection: the advisory lock is its session's, and ends with it, however this process ends. */
async function underLock<T>(
  url: string,
  { dir = defaultMigrationsDir(), lockTimeoutMs = LOCK_TIMEOUT_MS }: MigrationOptions,
  run: (sql: Sql, files: readonly Migration[]) => Promise<T>,
): Promise<T> {
  const files = await readMigrations(dir);
  return withConnection(url, async (sql) => {
    await takeLock(sql, lockTimeoutMs);
    await sql`
      create table if not exists schema_migrations (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`;
    return run(sql, files);
  });
}

/**
 * Asks again and again rather than wait inside the statement: a waiting statement holds a snapshot, for which the
 * lock's holder would wait in turn where it creates an index concurrently.
 */
async function takeLock(sql: Sql, timeoutMs: number): Promise<void> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const [row] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${LOCK_KEY}) as taken`;
    if (row?.taken) return;
    if (Date.now() >= giveUpAt) {
      const [holder] = await sql<{ pid: number }[]>`
        select pid from pg_locks where locktype = 'advisory' and granted
          and database = (select oid from pg_database where datname = current_database())
          and classid::bigint << 32 | objid::bigint = ${LOCK_KEY}`;
      const who = holder ? `PostgreSQL backend ${holder.pid}` : 'another session';
      throw new Error(
        `${who} is migrating this database for more than ${timeoutMs} ms; try again when it is done`,
      );
    }
    await sleep(LOCK_RETRY_MS);
  }
}

async function withConnection<T>(url: string, run: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, {
    ...addressOf(url),
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: 0, // the lock would go with an idle connection
    max_lifetime: null,
    onnotice: () => {},
    connection: { application_name: 'parley-migrate' },
  });
  try {
    return await run(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
