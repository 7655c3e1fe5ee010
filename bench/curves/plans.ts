import { readFile, stat } from 'node:fs/promises';
import type { Db } from '../../src/store/client.js';

/**
 * Lets PostgreSQL tell plans as they were run, EXPLAIN (ANALYZE, BUFFERS), on all that a pool of one connection asks
 * from now on within {@link explained}. It needs a superuser.
 */
export async function loadExplain(db: Db): Promise<void> {
  await db.unsafe(`
    load 'auto_explain';
    set auto_explain.log_min_duration = -1;
    set auto_explain.log_analyze = on;
    set auto_explain.log_buffers = on;
    set auto_explain.log_triggers = on;
    set auto_explain.log_parameter_max_length = 0`);
}

/** The plans of all statements that `run` made on `db`. @param logFile where the server of `db` writes its log */
export async function explained(db: Db, logFile: string, run: () => Promise<unknown>): Promise<string> {
  const { size } = await stat(logFile);
  await db`set auto_explain.log_min_duration = 0`;
  await run();
  await db`set auto_explain.log_min_duration = -1`;
  const log = await readFile(logFile);
  return plansIn(log.subarray(size).toString());
}

const ENTRY = /LOG: {2}duration: ([\d.]+) ms {2}plan:\n/;
const FIRST_NODE = /^\t(?=.*\(cost=)/m; // the text of the statement is before it

/** The plans in a part of the server's log, each with how long it took. */
function plansIn(log: string): string {
  const [, ...parts] = log.split(ENTRY);
  const plans: string[] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [duration, entry = ''] = [parts[i], parts[i + 1]];
    const lines = entry.slice(entry.search(FIRST_NODE)).split('\n');
    const end = lines.findIndex((line) => !line.startsWith('\t'));
    const plan = lines.slice(0, end === -1 ? undefined : end).map((line) => line.slice(1));
    plans.push([...plan, `Took ${duration} ms`].join('\n'));
  }
  return plans.join('\n\n');
}
