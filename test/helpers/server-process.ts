import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterAll, inject } from 'vitest';
import { createTestDatabase, type TestDatabase } from './database.js';
import { until, within } from './deadline.js';

/** Fixed, so that tokens survive the server's restarts. */
export const JWT_SECRET = 'the-secret-of-the-tests-0123456789abcdef';

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 20_000;
const KEPT_LINES = 5_000;

type Env = Readonly<Record<string, string>>;

/** Limits off, cheap passwords, free ports: what a test wants unless it is about one of these. */
const TEST_ENV: Env = {
  NODE_ENV: 'test',
  LOG_LEVEL: 'info',
  SERVER_HOST: '127.0.0.1',
  SERVER_PORT: '0',
  METRICS_PORT: '0',
  JWT_SECRET,
  RATE_LIMIT_PER_MINUTE: '0',
  AUTH_RATE_LIMIT_PER_MINUTE: '0',
  WS_SENDS_PER_SECOND: '0',
  MAX_CONNECTIONS_PER_USER: '0',
  MAX_CONNECTIONS_PER_IP: '0',
  PASSWORD_HASH_MEMORY_KIB: '1024',
  PASSWORD_HASH_PASSES: '1',
};

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One line of the server's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A process started for a test; it is killed with the test file at the latest. */
export interface RunningProcess {
  readonly pid: number;
  /** Settles when the process has ended. */
  readonly exit: Promise<Exit>;
  /** stdout and stderr, line by line; the oldest are dropped beyond a few thousand. */
  readonly lines: readonly string[];
  /** The lines that are JSON objects. */
  readonly log: () => LogLine[];
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly writeLine: (line: string) => void;
}

export interface Server extends RunningProcess {
  readonly port: number;
  readonly metricsPort: number;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly wsUrl: string;
  /** SIGTERM, then the exit. */
  readonly stop: () => Promise<Exit>;
}

const running = new Set<RunningProcess>();

afterAll(async () => {
  for (const each of running) each.kill('SIGKILL');
  await Promise.all([...running].map((each) => each.exit));
});

/**
 * Starts the built server and resolves when it listens.
 *
 * @param env added to the settings above; DATABASE_URL belongs in it
 * @throws with the server's output when it ends or takes too long
 */
export async function startServer(options: { readonly env: Env }): Promise<Server> {
  const child = await spawnServer(options.env);
  const listening = until(
    () => child.log().find((line) => line.event === 'listening'),
    'the event "listening"',
    START_DEADLINE_MS,
  );
  const ended = child.exit.then((exit) => {
    throw new Error(`the server ended at its start: ${JSON.stringify(exit)}`);
  });
  try {
    const line = await Promise.race([listening, ended]);
    ended.catch(() => undefined);
    return asServer(child, Number(line.port), Number(line.metrics_port));
  } catch (error) {
    listening.catch(() => undefined);
    child.kill('SIGKILL');
    throw new Error(`${String(error)}\n${child.lines.slice(-40).join('\n')}`);
  }
}

/** Starts the built server without waiting for it, for tests of settings that it refuses. */
export async function spawnServer(env: Env): Promise<RunningProcess> {
  const dataDir = join(inject('runDirectory'), `data-${randomBytes(6).toString('hex')}`);
  await mkdir(dataDir);
  const settings = { ...TEST_ENV, DATA_DIR: dataDir, ...env };
  const child = spawnTracked(process.execPath, ['dist/src/main.js'], settings);
  void child.exit.then(() => rm(dataDir, { recursive: true, force: true }));
  return child;
}

/** Starts a program with nothing in its environment but PATH, HOME and `env`. */
export function spawnTracked(file: string, args: readonly string[], env: Env): RunningProcess {
  const base = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/' };
  const child = spawn(file, args, { env: { ...base, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined); // writing to a killed server
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) keepLines(stream, lines);
  const tracked: RunningProcess = {
    pid: child.pid ?? 0,
    exit: exitOf(child),
    lines,
    log: () => lines.flatMap(parseLine),
    kill: (signal) => void child.kill(signal),
    writeLine: (line) => void child.stdin.write(`${line}\n`),
  };
  running.add(tracked);
  const pidFile = join(inject('runDirectory'), 'pids', String(tracked.pid));
  const recorded = writeFile(pidFile, '');
  void tracked.exit.then(async () => {
    running.delete(tracked);
    await recorded;
    await rm(pidFile, { force: true });
  });
  return tracked;
}

function exitOf(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

function keepLines(stream: Readable, lines: string[]): void {
  createInterface({ input: stream }).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
  });
}

function parseLine(line: string): LogLine[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as LogLine];
  } catch {
    return []; // cut off by a kill
  }
}

function asServer(child: RunningProcess, port: number, metricsPort: number): Server {
  return {
    ...child,
    port,
    metricsPort,
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}/api/v1/ws`,
    stop: () => {
      child.kill('SIGTERM');
      return within(child.exit, STOP_DEADLINE_MS, 'the exit after SIGTERM');
    },
  };
}

/** A server on an empty database of its own, both gone after the test file. For use at a file's or suite's top. */
export async function startServerWithDatabase(
  env: Env = {},
): Promise<Server & { readonly database: TestDatabase }> {
  const database = await createTestDatabase();
  const server = await startServer({ env: { DATABASE_URL: database.url, ...env } });
  return { ...server, database };
}
