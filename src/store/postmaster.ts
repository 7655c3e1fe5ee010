/** The postmaster of one embedded cluster as an operating-system process: its pid file, whether it lives, its end. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { isProcessAlive, processCommand, processStartId } from '../lib/process-identity.js';

/** The superuser of the embedded cluster, and the name of its database. */
export const EMBEDDED_ROLE = 'parley';

const FAST_SHUTDOWN_MAX_MS = 30_000; // a final checkpoint of 128 MB of buffers takes a second or two
const IMMEDIATE_SHUTDOWN_MAX_MS = 5_000;
const POLL_MS = 20;

/** What postmaster.pid says (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_*). */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

/** What a log-in says about a server: `ours` (this cluster), `other`, `refused` (password), `unready` (try again). */
export type Identity = 'ours' | 'other' | 'refused' | 'unready';

/** @returns null where there is no pid file, or only half of one */
export async function readPidFile(clusterDir: string): Promise<PidFile | null> {
  const text = await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  return { pid, port: Number(lines[3]) || 0, ready: lines[7]?.trim() === 'ready' };
}

/** Whether the process was started as a postmaster, by its command line; `here`: by Parley, on this directory. */
export function postmasterCommand(pid: number, clusterDir: string): { postgres: boolean; here: boolean } {
  const command = processCommand(pid) ?? '';
  const here = command.includes(`/postgres -D ${clusterDir} -c `);
  return { postgres: here || /(^|\/)postgres( |$)/.test(command), here };
}

export function embeddedUrl(port: number, password: string, database: string): string {
  return `postgres://${EMBEDDED_ROLE}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

/** Logs in and asks the server which directory it serves. Never throws for what the server answers. */
export async function identify(port: number, password: string, clusterDir: string): Promise<Identity> {
  if (port === 0) return 'unready';
  const sql = connect(embeddedUrl(port, password, 'postgres'));
  try {
    const [row] = await sql<{ data_directory: string }[]>`show data_directory`;
    const [served, wanted] = await Promise.all([
      stat(row?.data_directory ?? '').catch(() => null),
      stat(clusterDir),
    ]);
    return served?.ino === wanted.ino && served.dev === wanted.dev ? 'ours' : 'other';
  } catch (error) {
    const code = (error as { code?: string }).code;
    return code === '28P01' || code === '28000' ? 'refused' : 'unready';
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Creates the database that `startEmbeddedPostgres` hands out, where it isn't there. */
export async function createDatabase(port: number, password: string): Promise<void> {
  const sql = connect(embeddedUrl(port, password, 'postgres'));
  try {
    const found = await sql`select from pg_database where datname = ${EMBEDDED_ROLE}`;
    if (found.length === 0) await sql`create database ${sql(EMBEDDED_ROLE)}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * Ends a postmaster: fast shutdown, then immediate. Answers once the process is gone; at once if it is already.
 *
 * @throws when it outlives both
 */
export async function stopPostmaster(pid: number): Promise<void> {
  const startId = processStartId(pid);
  const isGone = (): boolean => startId === null || !isProcessAlive(pid) || processStartId(pid) !== startId;
  const steps = [
    ['SIGINT', FAST_SHUTDOWN_MAX_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MAX_MS],
  ] as const;
  for (const [signal, maxMs] of steps) {
    if (isGone() || (await signalAndWait(pid, signal, isGone, maxMs))) return;
  }
  throw new Error(`the embedded PostgreSQL (pid ${pid}) ignored SIGINT and SIGQUIT; end it by hand`);
}

async function signalAndWait(
  pid: number,
  signal: NodeJS.Signals,
  isGone: () => boolean,
  maxMs: number,
): Promise<boolean> {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  const giveUpAt = Date.now() + maxMs;
  while (!isGone()) {
    if (Date.now() >= giveUpAt) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, connect_timeout: 5, fetch_types: false, onnotice: () => {}, ssl: false });
}
