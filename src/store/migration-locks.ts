import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';

/**
 * A statement that changes a table waits for everybody who reads it, and all who come later wait behind the statement.
 * So it waits for a moment only, lets them pass, and tries again: the server that runs meanwhile goes on answering.
 */
const LOCK_WAIT_MS = 500; // of one attempt: so long may requests wait, of the 2 s they have (DESIGN §2)
const PAUSE_MS = 1_500; // between attempts: what had to wait is answered by then
export const GIVE_UP_AFTER_MS = 120_000; // longer than a statement of the server (5 s), or a dump of a small database

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';

/**
 * Runs a change in a transaction of its own, as often as a lock isn't to be had; each attempt is undone as a whole.
 * @throws what `change` throws; where no attempt within `giveUpAfterMs` has got its locks, who may hold them
 */
export function withShortLocks<T>(
  sql: postgres.Sql,
  giveUpAfterMs: number,
  change: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  return inAttempts(
    sql,
    giveUpAfterMs,
    () =>
      sql.begin(async (tx) => {
        await tx`select set_config('lock_timeout', ${`${LOCK_WAIT_MS}ms`}, true)`;
        return change(tx);
      }) as Promise<T>,
  );
}

/**
 * As {@link withShortLocks}, one statement outside of a transaction. What is done concurrently takes no lock that anybody
 * has to wait behind, and waits for old transactions as long as it must.
 */
export async function statementWithShortLocks(
  sql: postgres.Sql,
  giveUpAfterMs: number,
  statement: string,
): Promise<void> {
  if (/\bconcurrently\b/i.test(statement)) return void (await sql.unsafe(statement));
  await sql`select set_config('lock_timeout', ${`${LOCK_WAIT_MS}ms`}, false)`;
  try {
    await inAttempts(sql, giveUpAfterMs, () => sql.unsafe(statement));
  } finally {
    await sql`select set_config('lock_timeout', '0', false)`;
  }
}

async function inAttempts<T>(
  sql: postgres.Sql,
  giveUpAfterMs: number,
  attempt: () => PromiseLike<T>,
): Promise<T> {
  const giveUpAt = Date.now() + giveUpAfterMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK_DETECTED) throw error;
      if (Date.now() + PAUSE_MS >= giveUpAt) throw await tableInUse(sql, giveUpAfterMs, error);
      await sleep(PAUSE_MS);
    }
  }
}

async function tableInUse(sql: postgres.Sql, waitedMs: number, cause: unknown): Promise<Error> {
  const [oldest] = await sql<{ pid: number; name: string; seconds: number }[]>`
    select pid, application_name as name, extract(epoch from now() - xact_start)::int as seconds
    from pg_stat_activity
    where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
    order by xact_start limit 1`;
  const who =
    oldest === undefined
      ? ''
      : `; the oldest transaction is that of PostgreSQL backend ${oldest.pid} (${oldest.name}), ${oldest.seconds} s old`;
  return new Error(`a table was in use for more than ${waitedMs} ms${who}; try again when it has ended`, {
    cause,
  });
}
