import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';

export interface RedisProcess {
  readonly client: Redis;
  stop(): Promise<void>;
}

/** It starts in milliseconds, or not at all. */
const START_TIMEOUT_MS = 10_000;
const RETRY_MS = 50;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function whenReady(client: Redis, child: ChildProcess): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    const pong = await client.ping().catch(() => undefined);
    if (pong !== undefined) return;
    if (Date.now() > giveUpAt) throw new Error('redis-server did not start');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Starts a redis-server of its own (`REDIS_SERVER`, else from PATH), in memory only. */
export async function startRedis(directory: string): Promise<RedisProcess> {
  const port = await freePort();
  const command = process.env.REDIS_SERVER ?? 'redis-server';
  const child = spawn(
    command,
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
    { stdio: 'ignore' },
  );
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`${command}: ${error.message}`)));
  });
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => RETRY_MS });
  client.on('error', () => undefined); // refused until it listens
  // A baseline that is killed must not leave it behind.
  process.once('exit', () => child.kill('SIGKILL'));
  await Promise.race([whenReady(client, child), failed]);
  return {
    client,
    async stop() {
      client.disconnect();
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
}
