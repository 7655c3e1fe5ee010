import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';
import { TEMPLATE_DATABASE } from './database-schema.js';

/** A database of a test's own, empty but for the schema. */
export interface TestDatabase {
  readonly url: string;
  /** Cuts its connections and removes it. */
  readonly drop: () => Promise<void>;
}

/** Copies the template database of this run (see global-setup.ts). */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `parley_${randomBytes(8).toString('hex')}`;
  await asAdmin((sql) => sql`create database ${sql(name)} template ${sql(TEMPLATE_DATABASE)}`);
  const url = new URL(inject('adminUrl'));
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => asAdmin((sql) => sql`drop database if exists ${sql(name)} with (force)`),
  };
}

/** How many connections to the database of `sql` wait for a lock. */
export async function waitingForLocks(sql: postgres.Sql): Promise<number> {
  const waiting = await sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return waiting.length;
}

async function asAdmin(statement: (sql: postgres.Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = postgres(inject('adminUrl'), { max: 1, onnotice: () => undefined });
  try {
    await statement(sql);
  } finally {
    await sql.end();
  }
}
