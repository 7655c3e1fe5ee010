/**
 * The development default: a PostgreSQL cluster in DATA_DIR/postgres, run from npm's binaries.
 *
 *     no cluster ──initdb beside it, then rename──► stopped ──start──► running ──stop()──► stopped
 *                                                                        ▲ │ server killed (-9)
 *                                                        adopt: start() again └──► orphan: still running
 *
 * The postmaster is a process group of its own that logs to a file, so that neither Ctrl-C nor the death of the
 * server takes acknowledged messages' database along. Whoever starts next adopts it. Never are there two
 * postmasters on one directory: PostgreSQL's own check (postmaster.pid and its shared memory) is left in force.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, realpath, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockDirectory } from '../lib/data-dir-lock.js';
import { isProcessAlive } from '../lib/process-identity.js';
import {
  type Command,
  findPostgresBinaries,
  type PostgresBinaries,
  postgresEnvironment,
} from './postgres-binaries.js';
import { lastLines, prepareCluster } from './postgres-cluster.js';
import {
  createDatabase,
  EMBEDDED_ROLE,
  embeddedUrl,
  identify,
  postmasterCommand,
  readPidFile,
  stopPostmaster,
} from './postmaster.js';

/** One event name in snake_case, and its fields. */
export type EmbeddedPostgresLog = (event: string, fields: Readonly<Record<string, string | number>>) => void;

export interface EmbeddedPostgres {
  readonly url: string;
  /** Fast shutdown, of an adopted postmaster too; answers when it is gone. Idempotent. */
  readonly stop: () => Promise<void>;
  /** It was running already, left behind by a server that was killed, or another process of this DATA_DIR uses it. */
  readonly adopted: boolean;
}

const START_MAX_MS = 60_000; // crash recovery replays at most max_wal_size of log
const ORPHAN_BACKENDS_MAX_MS = 10_000; // backends notice within a second that their postmaster was killed
const PORT_TRIES = 5; // a free port can be taken between asking for it and using it
const POLL_MS = 20;
const LOG_ROTATE_BYTES = 10 * 1_024 ** 2; // the log is for reading after a failed start, not an archive

/** For two cores shared with the server; durability is not for sale (DESIGN §2, I1). */
const SETTINGS: Readonly<Record<string, string | number>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // their paths are limited to 107 bytes
  max_connections: 50, // 25 for a server, the rest for tests and tools
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '128MB',
  effective_cache_size: '1GB',
  wal_buffers: '16MB',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  random_page_cost: 1.1, // a development machine has an SSD
  max_parallel_workers_per_gather: 0, // a second core for one query is a core taken from the server
  autovacuum_max_workers: 2,
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'log', // not ERROR: a unique violation is an answer here (DESIGN §2), and its statement holds content
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
};

/**
 * Starts the cluster of `dataDir`, making it the first time, or adopts the postmaster that already serves it.
 * Concurrent calls, from other processes too, come out with one postmaster.
 *
 * @param nativeDir only for tests: the binaries' directory
 * @throws where there are no binaries for the platform, root finds no way to run them, the password file is lost,
 * or PostgreSQL doesn't start: the error then ends with the last lines of its log
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  log: EmbeddedPostgresLog;
  nativeDir?: string;
}): Promise<EmbeddedPostgres> {
  const lock = await lockDirectory(options.dataDir, 'postgres-start', 2 * START_MAX_MS);
  try {
    const dataDir = await realpath(options.dataDir);
    const binaries = await findPostgresBinaries(dataDir, options.nativeDir);
    const clusterDir = join(dataDir, 'postgres');
    const { password, created } = await prepareCluster(binaries, dataDir, clusterDir);
    if (created) options.log('embedded_postgres_created', { dir: clusterDir });
    const stale = await findPostmaster(clusterDir, password);
    const running = stale.port === null ? null : { pid: stale.pid, port: stale.port };
    const { pid, port } = running ?? (await launch(binaries, dataDir, clusterDir, password, stale.pid));
    await createDatabase(port, password);
    options.log(running ? 'embedded_postgres_adopted' : 'embedded_postgres_started', { pid, port });
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => {
      stopping ??= stopPostmaster(pid).then(() => options.log('embedded_postgres_stopped', { pid }));
      return stopping;
    };
    return { url: embeddedUrl(port, password, EMBEDDED_ROLE), stop, adopted: running !== null };
  } finally {
    lock.release();
  }
}

/**
 * Looks for a postmaster to adopt. `port` null: there is none; `pid` is then the one in a stale pid file (0: no
 * file), which may meanwhile be another process'.
 */
async function findPostmaster(
  clusterDir: string,
  password: string,
): Promise<{ pid: number; port: number | null }> {
  const giveUpAt = Date.now() + START_MAX_MS;
  for (;;) {
    const file = await readPidFile(clusterDir);
    if (!file || !isProcessAlive(file.pid)) return { pid: file?.pid ?? 0, port: null };
    const command = postmasterCommand(file.pid, clusterDir);
    if (!command.postgres) return { pid: file.pid, port: null };
    const identity = await identify(file.port, password, clusterDir);
    if (identity === 'ours') return { pid: file.pid, port: file.port };
    if (!command.here) return { pid: file.pid, port: null };
    if (identity === 'refused') {
      throw new Error(
        `PostgreSQL (pid ${file.pid}) serves ${clusterDir}, but refuses DATA_DIR/postgres.password; stop it`,
      );
    }
    if (Date.now() >= giveUpAt) {
      throw new Error(`PostgreSQL (pid ${file.pid}) serves ${clusterDir}, but answers no log-in; stop it`);
    }
    await sleep(POLL_MS); // it is starting up, recovering or shutting down
  }
}

async function launch(
  binaries: PostgresBinaries,
  dataDir: string,
  clusterDir: string,
  password: string,
  stalePid: number,
): Promise<{ pid: number; port: number }> {
  const waitForBackendsUntil = Date.now() + ORPHAN_BACKENDS_MAX_MS;
  for (let portTry = 1; ; ) {
    const port = await freePort();
    const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const command = binaries.command('postgres', ['-D', clusterDir, ...settings]);
    const attempt = await launchOnce(command, join(dataDir, 'postgres.log'), stalePid, async (pid) => {
      const file = await readPidFile(clusterDir);
      return file?.pid === pid && file.ready && (await identify(port, password, clusterDir)) === 'ours';
    });
    if ('pid' in attempt) return { pid: attempt.pid, port };
    if (attempt.log.includes('Address already in use') && portTry < PORT_TRIES) {
      portTry += 1;
    } else if (attempt.log.includes('shared memory block') && Date.now() < waitForBackendsUntil) {
      await sleep(10 * POLL_MS); // backends of a killed postmaster are still on their way out
    } else {
      throw new Error(
        `the embedded PostgreSQL in ${clusterDir} didn't start: ${attempt.reason}\n${lastLines(attempt.log)}`,
      );
    }
  }
}

/** One attempt: the pid once `isReady`, or what the log says. */
async function launchOnce(
  command: Command,
  logFile: string,
  stalePid: number,
  isReady: (pid: number) => Promise<boolean>,
): Promise<{ pid: number } | { reason: string; log: string }> {
  const logBytes = (await stat(logFile).catch(() => null))?.size ?? 0;
  if (logBytes > LOG_ROTATE_BYTES) await rename(logFile, `${logFile}.1`);
  const log = await open(logFile, 'a', 0o600);
  const logStart = (await log.stat()).size;
  const child = spawn(command.file, command.args, {
    ...command.identity,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    // The pid of a stale postmaster.pid may be in use by now. PostgreSQL takes this one for its own and goes on,
    // after it has made sure that no backend is left in its shared memory: safer than to remove the file.
    env: { ...postgresEnvironment(), ...(stalePid > 0 ? { PG_GRANDPARENT_PID: String(stalePid) } : {}) },
  });
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = `can't run ${command.file}: ${error.message}`;
  });
  child.once('exit', (code, signal) => {
    ended ??= `it ended with ${signal ?? `code ${code}`}`;
  });
  child.unref();
  try {
    const reason = await readyOrReason(child, isReady, () => ended);
    if (reason === null && child.pid !== undefined) return { pid: child.pid };
    const text = (await readFile(logFile)).subarray(logStart).toString();
    return { reason: reason ?? 'it has no pid', log: text };
  } finally {
    await log.close();
  }
}

async function readyOrReason(
  child: ChildProcess,
  isReady: (pid: number) => Promise<boolean>,
  ended: () => string | undefined,
): Promise<string | null> {
  const giveUpAt = Date.now() + START_MAX_MS;
  while (ended() === undefined) {
    if (child.pid !== undefined && (await isReady(child.pid))) return null;
    if (Date.now() >= giveUpAt) {
      child.kill('SIGQUIT');
      return `it wasn't ready after ${START_MAX_MS / 1_000} s`;
    }
    await sleep(POLL_MS);
  }
  return ended() ?? null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}
