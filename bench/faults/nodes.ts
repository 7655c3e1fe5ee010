/** What a run of faults stands on: PostgreSQL, Redis and two nodes, each a process that can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { freePort } from '../../src/lib/free-port.js';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { type ServerProcess, startServer } from '../load/server-process.js';

const REDIS_WITHIN_MS = 10_000;
const NODES = 2;

export interface Stage {
  /** Origins of the nodes that serve now. */
  origins(): readonly string[];
  /** SIGKILL, then another one in its place. */
  killNode(index: number): Promise<void>;
  /** SIGTERM, then another one in its place. */
  rollNode(index: number): Promise<void>;
  /** SIGSTOP and SIGCONT: a node that hangs for a while. */
  freezeNode(index: number, ms: number): Promise<void>;
  /** One of PostgreSQL's processes is killed: it cuts all connections and recovers by itself. */
  crashPostgres(): Promise<void>;
  /** Away for so long. */
  restartRedis(awayMs: number): Promise<void>;
  flushRedis(): Promise<void>;
  close(): Promise<void>;
}

/** @throws where there is no redis-server */
export async function startStage(): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-faults-'));
  await chmod(directory, 0o755);
  const database = await startEmbeddedPostgres({ dataDir: directory, log: () => undefined });
  const redis = await openRedis(directory);
  // Alike on all nodes, as an operator would set them.
  process.env.REDIS_URL = redis.url;
  process.env.JWT_SECRET = 'a secret of the faults that is long enough';
  const nodes: (ServerProcess | null)[] = [];
  for (let i = 0; i < NODES; i++) nodes.push(await startServer(database.url));

  async function replace(index: number, end: (node: ServerProcess) => Promise<unknown>): Promise<void> {
    const node = nodes[index];
    if (!node) return;
    nodes[index] = null;
    await end(node);
    nodes[index] = await startServer(database.url);
  }

  return {
    origins: () => nodes.flatMap((node) => (node === null ? [] : [node.origin])),
    killNode: (index) =>
      replace(index, async (node) => {
        process.kill(node.pid, 'SIGKILL');
        await node.stop();
      }),
    rollNode: (index) => replace(index, (node) => node.stop()),
    async freezeNode(index, ms) {
      const pid = nodes[index]?.pid;
      if (pid === undefined) return;
      process.kill(pid, 'SIGSTOP');
      await sleep(ms);
      process.kill(pid, 'SIGCONT');
    },
    async crashPostgres() {
      const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
      const [row] = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity where application_name like 'parley-shard%' limit 1`;
      if (row !== undefined) process.kill(row.pid, 'SIGKILL');
      await sql.end({ timeout: 1 }).catch(() => undefined);
    },
    restartRedis: redis.restart,
    flushRedis: () => redis.command('FLUSHALL'),
    async close() {
      await Promise.all(nodes.map((node) => node?.stop()));
      await redis.stop();
      await database.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function openRedis(directory: string) {
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  let running: ChildProcess | null = null;

  /** An inline command; resolves with its answer. */
  function command(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${text}\r\n`));
      socket.once('data', () => {
        socket.destroy();
        resolve();
      });
      socket.once('error', reject);
    });
  }
  async function start(): Promise<void> {
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
    const child = spawn('redis-server', settings, { stdio: 'ignore' });
    running = child;
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    const answers = async () => {
      const giveUpAt = performance.now() + REDIS_WITHIN_MS;
      while (
        !(await command('PING').then(
          () => true,
          () => false,
        ))
      ) {
        if (performance.now() > giveUpAt) throw new Error('redis-server does not answer');
        await sleep(20);
      }
    };
    await Promise.race([answers(), failed]);
    failed.catch(() => undefined);
  }
  async function stop(): Promise<void> {
    const child = running;
    running = null;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  await start();
  return {
    url: `redis://127.0.0.1:${port}/0`,
    command,
    stop,
    async restart(awayMs: number) {
      await stop();
      await sleep(awayMs);
      await start();
    },
  };
}
