import { type Db, run } from './client.js';

/** As long as a transaction may be idle (client.ts): a node that is alive follows within milliseconds. */
const STALLED_MS = 3_000;

/**
 * Ends connections of this server's nodes on which PostgreSQL waits for the second half of a statement: it has described
 * the statement and not yet been told to run it. Where their node was cut off at that moment they hold their
 * transaction's locks until TCP gives up, after hours: neither statement_timeout nor idle_in_transaction_session_timeout
 * runs then (PostgreSQL takes no cancellation while it reads), and transaction_timeout is there from version 17 on only.
 * A tool's cursor looks the same between two batches: tools aren't the nodes'.
 *
 * @returns how many were ended
 * @throws StoreUnavailable
 */
export async function endHalfStatements(db: Db): Promise<number> {
  const found = await run(db<{ ended: boolean }[]>`
    select pg_terminate_backend(pid) as ended from pg_stat_activity
    where datname = current_database() and usename = current_user
      and (application_name like 'parley-shard-%' or application_name = 'parley-transfer')
      and state = 'active' and wait_event = 'ClientRead'
      and state_change < clock_timestamp() - ${STALLED_MS}::float8 * interval '1 millisecond'`);
  return found.filter(({ ended }) => ended).length;
}
