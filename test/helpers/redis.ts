import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import type { CertificateFiles } from './certificates.js';
import { until } from './deadline.js';
import { type RunningProcess, spawnTracked } from './server-process.js';

const PROGRAM = 'redis-server';

/** Whether the machine has a Redis; tests that need one are skipped where it doesn't. */
export const hasRedis = (process.env.PATH ?? '')
  .split(delimiter)
  .some((directory) => existsSync(join(directory, PROGRAM)));

/** A Redis of the test's own, which writes every command down before it answers. Ends with the test file. */
export interface RedisServer {
  readonly url: string;
  /** A command and its answer. Fails where Redis is away. */
  readonly command: (name: string, ...args: (string | number)[]) => Promise<unknown>;
  /** Starts it again, with its data, and waits until it answers. */
  readonly start: () => Promise<void>;
  /** SIGTERM. */
  readonly stop: () => Promise<void>;
  /** SIGKILL. */
  readonly kill: () => Promise<void>;
  /** Removes what it has written; only while it doesn't run. */
  readonly eraseData: () => Promise<void>;
  /** SIGSTOP: connections stay open, new ones are taken by the kernel, and nothing answers. */
  readonly freeze: () => void;
  readonly thaw: () => void;
}

/**
 * @param settings further ones, as on redis-server's command line
 * @param tls then it takes nothing but TLS, with this certificate and key
 */
export async function startRedis(
  settings: readonly string[] = [],
  tls?: CertificateFiles,
): Promise<RedisServer> {
  const directory = await mkdtemp(join(inject('runDirectory'), 'redis-'));
  const data = join(directory, 'appendonlydir');
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const portSettings =
    tls === undefined
      ? ['--port', String(port)]
      : [
          ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
          ...['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.cert],
        ];
  let running: RunningProcess | null = null;

  async function command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis({
      ...{ port, host: '127.0.0.1', retryStrategy: () => null, connectTimeout: 1_000 },
      ...(tls === undefined ? {} : { tls: { rejectUnauthorized: false } }),
    });
    client.on('error', () => undefined);
    try {
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }
  async function start(): Promise<void> {
    running = spawnTracked(
      PROGRAM,
      [
        ...portSettings,
        ...['--bind', '127.0.0.1', '--dir', directory, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'always', '--loglevel', 'warning', ...settings],
      ],
      {},
    );
    await until(() => command('PING').catch(() => false), 'Redis taking connections');
  }
  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    running?.kill(signal);
    await running?.exit;
    running = null;
  }

  await start();
  return {
    url: `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}/0`,
    command,
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    eraseData: () => rm(data, { recursive: true, force: true }),
    freeze: () => running?.kill('SIGSTOP'),
    thaw: () => running?.kill('SIGCONT'),
  };
}
