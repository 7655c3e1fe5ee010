/** Makes servers of the built one that differ in their metrics. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startServer } from '../load/server-process.js';

const DIST = fileURLToPath(new URL('../..', import.meta.url));
const NO_OP = fileURLToPath(new URL('./no-op/', import.meta.url));
const SWITCHED = fileURLToPath(new URL('./switched/', import.meta.url));
const CLIENT = 'prom-client.js';
const SWITCHED_MODULES = ['lean-counter.js', 'lean-histogram.js', 'timed.js'];
const NEEDED = ['src', 'workers', 'web', 'status', 'node_modules'];

export interface Variant {
  /** Its main.js. */
  readonly entry: string;
  remove(): void;
}

/** Beside dist/, as it finds its packages and migrations by where it lies; named as the build's own, which clears up after the dead. */
function copyOfServer(name: string): Variant & { readonly directory: string } {
  const directory = join(DIST, '..', `.dist-${process.pid}-${name}`);
  for (const name of NEEDED) cpSync(join(DIST, name), join(directory, name), { recursive: true });
  return {
    directory,
    entry: join(directory, 'src', 'main.js'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

const observed = (file: string) => join('src', 'observability', file);

/** @throws Error where one of the modules isn't there any more: what stands in its place would be imported by nobody. */
function checkReplaced(files: readonly string[]): void {
  for (const file of files)
    if (!existsSync(join(DIST, observed(file)))) throw new Error(`no ${observed(file)}`);
}

/** What counts and measures is replaced by what does nothing. */
export function makeUnmetered(): Variant {
  const modules = readdirSync(NO_OP).filter((name) => name.endsWith('.js') && name !== CLIENT);
  checkReplaced(modules);
  const copy = copyOfServer('unmetered');
  const client = join(copy.directory, 'node_modules', 'prom-client'); // found before the one of the checkout
  mkdirSync(client, { recursive: true });
  writeFileSync(join(client, 'package.json'), JSON.stringify({ type: 'module', exports: `./${CLIENT}` }));
  copyFileSync(join(NO_OP, CLIENT), join(client, CLIENT));
  for (const file of modules) copyFileSync(join(NO_OP, file), join(copy.directory, observed(file)));
  return copy;
}

/** What counts and measures does so by turns (switched/switch.ts). */
export function makeSwitched(): Variant {
  checkReplaced(SWITCHED_MODULES);
  const copy = copyOfServer('switched');
  for (const file of SWITCHED_MODULES) {
    const own = pathToFileURL(join(SWITCHED, file)).href;
    writeFileSync(join(copy.directory, observed(file)), `export * from ${JSON.stringify(own)};\n`);
  }
  return copy;
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
