import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { must, until } from './deadline.js';
import { type RunningProcess, spawnTracked } from './server-process.js';

const PROGRAM = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find((path) =>
  existsSync(path),
);

/** Whether the machine has an nginx; tests that need one are skipped where it doesn't. */
export const hasNginx = PROGRAM !== undefined;

export interface Nginx extends RunningProcess {
  readonly port: number;
  readonly url: string;
  readonly wsUrl: string;
}

/**
 * Runs deploy/nginx/parley.conf with these nodes in place of its own; ends with the test file.
 *
 * @param connectionsMax of an address, in place of the file's
 */
export async function startNginx(
  nodePorts: readonly [number, number],
  connectionsMax?: number,
): Promise<Nginx> {
  const directory = await mkdtemp(join(inject('runDirectory'), 'nginx-'));
  await chmod(directory, 0o777); // its workers run as another user
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const original = await readFile('deploy/nginx/parley.conf', 'utf8');
  const config = original
    .replace('app-1:8080', `127.0.0.1:${nodePorts[0]}`)
    .replace('app-2:8080', `127.0.0.1:${nodePorts[1]}`)
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replaceAll('/tmp/', `${directory}/`)
    .replace('/dev/stdout', `${directory}/access.log`)
    .replace(/limit_conn parley_client \d+;/, (line) =>
      connectionsMax === undefined ? line : `limit_conn parley_client ${connectionsMax};`,
    );
  const file = join(directory, 'nginx.conf');
  await writeFile(file, config);
  const running = spawnTracked(
    must(PROGRAM),
    ['-e', `${directory}/error.log`, '-p', directory, '-c', file, '-g', 'daemon off; master_process off;'],
    {},
  );
  await until(() => accepts(port), `nginx listening: ${running.lines.join('\n')}`);
  return {
    ...running,
    port,
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}/api/v1/ws`,
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
