import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/lib/free-port.js';

/** A redis-server on a port of its own, without persistence. */
export interface RedisProcess {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Starts it at once and doesn't wait: a bus connects as soon as it can. */
export async function startRedisProcess(): Promise<RedisProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-bench-redis-'));
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  child.once('error', (error) => {
    throw new Error(`redis-server: ${error.message}; name a running one by --url`);
  });
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      await ended(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}
