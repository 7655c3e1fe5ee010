/** Starts and stops the server under test. */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sleep } from './clock.js';
import { asMembers, asNumber, asString } from './frame-read.js';
import { findPostmaster } from './postgres-process.js';
import { readStat } from './proc-files.js';

export interface ServerProcess {
  readonly pid: number;
  readonly origin: string;
  /** Where the sockets go, if not to the origin. */
  readonly socketUrl: string | undefined;
  readonly metricsPort: number | undefined;
  readonly dataDir: string;
  /** Log lines at level warn or above. */
  warnings(): number;
  /** The newest log lines. */
  tail(): readonly string[];
  /** Resolves with the exit code or signal when it ends, whoever ended it. */
  readonly ended: Promise<string>;
  /** SIGTERM, then waits for the end; its data directory is removed. @returns the exit code or signal, '0' when all is well. */
  stop(): Promise<string>;
}

/** Limits are off, since the bench offers a load; hashes are as cheap as allowed, since it registers hundreds of accounts. */
const BENCH_ENVIRONMENT = {
  SERVER_HOST: '127.0.0.1',
  SERVER_PORT: '0',
  METRICS_PORT: '0',
  LOG_LEVEL: 'info',
  RATE_LIMIT_PER_MINUTE: '0',
  AUTH_RATE_LIMIT_PER_MINUTE: '0',
  WS_SENDS_PER_SECOND: '0',
  MAX_CONNECTIONS_PER_USER: '0',
  MAX_CONNECTIONS_PER_IP: '0',
  PASSWORD_HASH_MEMORY_KIB: '1024',
  PASSWORD_HASH_PASSES: '1',
};

/** initdb on a slow disk takes some seconds; a minute means it won't come. */
const START_TIMEOUT_MS = 60_000;

/** The server promises to drain in 5 s (DESIGN.md §6), PostgreSQL needs a moment more; then it is killed. */
const STOP_TIMEOUT_MS = 20_000;

/** Log lines kept for the report of a failure. */
const TAIL_LINES = 40;

/** pino's number for `warn`. */
const LEVEL_WARN = 40;

const WARN_NAMES = new Set(['warn', 'error', 'fatal']);

function parseLine(line: string): ReturnType<typeof asMembers> {
  if (!line.startsWith('{')) return {};
  try {
    return asMembers(JSON.parse(line));
  } catch {
    return {};
  }
}

function isWarning(level: unknown): boolean {
  return typeof level === 'number' ? level >= LEVEL_WARN : typeof level === 'string' && WARN_NAMES.has(level);
}

/** PostgreSQL's "fast shutdown" takes well under this, and its files must not be removed before. */
const ORPHAN_TIMEOUT_MS = 10_000;

/** Ends the PostgreSQL in `dataDir` if a server that was killed left it behind. */
async function stopOrphan(dataDir: string): Promise<void> {
  const pid = await findPostmaster(dataDir);
  const isRunning = () => pid !== undefined && readStat(pid)?.name === 'postgres';
  if (pid === undefined || !isRunning()) return;
  process.kill(pid, 'SIGINT');
  for (let waited = 0; isRunning() && waited < ORPHAN_TIMEOUT_MS; waited += 100) await sleep(100);
}

/**
 * Starts the server (`dist/src/main.js` unless told otherwise) in a new data directory and waits until it listens.
 * @param settings environment variables beside those of every bench, or instead of them.
 * @throws Error with its last log lines if it ends or takes too long.
 */
export async function startServer(
  databaseUrl: string | undefined,
  entry = fileURLToPath(new URL('../../src/main.js', import.meta.url)),
  settings: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  // Embedded PostgreSQL may run as a user of its own and must get through.
  await chmod(dataDir, 0o755);
  const child = spawn(process.execPath, [entry], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...BENCH_ENVIRONMENT,
      ...settings,
      DATA_DIR: dataDir,
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
    },
  });
  const tail: string[] = [];
  let warnings = 0;
  let running = true;
  const end = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(String(code ?? signal)));
  });
  void end.then(() => {
    running = false;
  });

  function keep(line: string): void {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
  }
  createInterface({ input: child.stderr }).on('line', keep);

  interface Listening {
    readonly port: number;
    readonly metricsPort: number | undefined;
    readonly socketUrl: string | undefined;
  }
  const listening = new Promise<Listening>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      keep(line);
      const log = parseLine(line);
      if (isWarning(log.level)) warnings += 1;
      const port = asNumber(log.port);
      if (log.event === 'listening' && port !== undefined) {
        resolve({ port, metricsPort: asNumber(log.metrics_port), socketUrl: asString(log.socket_url) });
      }
    });
  });

  async function stop(): Promise<string> {
    if (running) child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const how = await end;
    clearTimeout(killer);
    await stopOrphan(dataDir);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    return how;
  }

  const timeout = new Promise<string>((resolve) => {
    setTimeout(() => resolve('took too long'), START_TIMEOUT_MS).unref();
  });
  const started = await Promise.race([listening, end, timeout]);
  if (typeof started === 'string') {
    await stop();
    throw new Error(`the server did not start (${started})\n${tail.join('\n')}`);
  }
  return {
    pid: child.pid ?? 0,
    origin: `http://127.0.0.1:${started.port}`,
    socketUrl: started.socketUrl,
    metricsPort: started.metricsPort,
    dataDir,
    warnings: () => warnings,
    tail: () => tail,
    ended: end,
    stop,
  };
}
