/** Makes a server without metrics of the built one: what counts and measures is replaced by what does nothing. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from '../load/server-process.js';

const DIST = fileURLToPath(new URL('../..', import.meta.url));
const NO_OP = fileURLToPath(new URL('./no-op/', import.meta.url));
const NEEDED = ['src', 'workers', 'web', 'status', 'node_modules'];

export interface Unmetered {
  /** Its main.js. */
  readonly entry: string;
  remove(): void;
}

/** Beside dist/, as it finds its packages and migrations by where it lies; named as the build's own, which clears up after the dead. */
export function makeUnmetered(): Unmetered {
  const copy = join(DIST, '..', `.dist-${process.pid}`);
  for (const name of NEEDED) cpSync(join(DIST, name), join(copy, name), { recursive: true });
  const client = join(copy, 'node_modules', 'prom-client'); // found before the one of the checkout
  mkdirSync(client, { recursive: true });
  writeFileSync(
    join(client, 'package.json'),
    JSON.stringify({ type: 'module', exports: './prom-client.js' }),
  );
  for (const file of readdirSync(NO_OP).filter((name) => name.endsWith('.js'))) {
    const into = file === 'prom-client.js' ? client : join(copy, 'src', 'observability');
    copyFileSync(join(NO_OP, basename(file)), join(into, file));
  }
  return {
    entry: join(copy, 'src', 'main.js'),
    remove: () => rmSync(copy, { recursive: true, force: true }),
  };
}

/** How many samples of its metrics a server tells. */
export async function linesOfMetrics(
  databaseUrl: string | undefined,
  entry: string | undefined,
): Promise<number> {
  const server = await startServer(databaseUrl, entry);
  try {
    const answer = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
    return (await answer.text()).split('\n').filter((line) => line.startsWith('parley_')).length;
  } finally {
    await server.stop();
  }
}
