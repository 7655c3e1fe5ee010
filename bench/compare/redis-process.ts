import { Redis } from 'ioredis';
import { freePort } from '../../src/lib/free-port.js';
import { startProgram, whenReady } from './program.js';

export interface RedisProcess {
  readonly client: Redis;
  stop(): Promise<void>;
}

const RETRY_MS = 50;

/** Starts a redis-server of its own (`REDIS_SERVER`, else from PATH), in memory only. */
export async function startRedis(directory: string): Promise<RedisProcess> {
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const program = startProgram(
    process.env.REDIS_SERVER ?? 'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
    'ignore',
  );
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => RETRY_MS });
  client.on('error', () => undefined); // refused until it listens
  await whenReady(program, () =>
    client.ping().then(
      () => true,
      () => false,
    ),
  );
  return {
    client,
    async stop() {
      client.disconnect();
      await program.stop();
    },
  };
}
