/**
 * Compiles src, workers, bench, scripts and client into dist/ when they differ from what dist/ was built of; silent when
 * nothing is to do. dist/client is the client's package as it is published, dist/web the demo client and dist/status the status page as they are served. Builds run one after another, each into a directory of its own that then takes dist's place,
 * so that a failed or killed build leaves the last good one, and nobody sees half of one.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The checkout's top directory. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const SOURCES = [
  'src',
  'workers',
  'bench',
  'scripts',
  'client',
  'web',
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
];
const PUBLISHED = ['client/package.json', 'client/README.md', 'LICENSE']; // beside what is compiled of the client
const STAMP = join(root, 'dist', '.built-from');
const LOCK = join(root, '.dist-lock');
const LOCK_RETRY_MS = 100;
const LOCK_MAX_MS = 300_000; // a build takes seconds: by then the pid is another process'

/** Makes dist/ what the sources say. Exits the process with the compiler's code when it refuses them. */
export async function build() {
  if (isFresh(fingerprint())) return;
  await takeLock();
  try {
    removeLeftovers();
    const sources = fingerprint(); // as of before compiling: an edit during it makes dist stale, as it should
    if (isFresh(sources)) return; // built by whoever had the lock
    await compile(sources);
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function isFresh(sources) {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === sources;
}

async function compile(sources) {
  const next = join(root, `.dist-${process.pid}`); // as deep as dist: source maps hold relative paths
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const projects = [
    ['tsconfig.build.json', next],
    ['client/tsconfig.json', join(next, 'client')],
  ];
  for (const [project, outDir] of projects) {
    const args = [tsc, '-p', join(root, project), '--outDir', outDir, '--noEmitOnError'];
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
    if (status === 0) continue;
    rmSync(next, { recursive: true, force: true });
    rmSync(LOCK, { force: true });
    process.exit(status ?? 1);
  }
  for (const file of PUBLISHED) copyFileSync(join(root, file), join(next, 'client', basename(file)));
  // Their bundler is missing where dist/ comes built.
  const { buildPackages } = await import('./build-packages.mjs');
  const { buildStatus, buildWeb } = await import('./build-web.mjs');
  await buildPackages(root, next);
  await buildWeb(root, join(next, 'web'));
  await buildStatus(root, join(next, 'status'));
  writeFileSync(join(next, '.built-from'), sources);
  const dist = join(root, 'dist');
  const last = join(root, `.dist-old-${process.pid}`);
  if (existsSync(dist)) renameSync(dist, last);
  renameSync(next, dist);
  rmSync(last, { recursive: true, force: true });
}

/** Changes with the name, size or time of any source: a removed file counts too, which times alone would miss. */
function fingerprint() {
  const hash = createHash('sha256');
  for (const name of SOURCES.filter((source) => existsSync(join(root, source)))) {
    const inside = statSync(join(root, name)).isDirectory()
      ? readdirSync(join(root, name), { recursive: true })
      : [''];
    for (const file of inside
      .filter((path) => path === '' || /\.(ts|mjs|json|md|html|css|svg)$/.test(path))
      .sort()) {
      const { size, mtimeMs } = statSync(join(root, name, file));
      hash.update(`${join(name, file)} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

async function takeLock() {
  const own = `${LOCK}-${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    while (!linked(own)) {
      const holder = holderOfLock();
      const expired = holder !== null && (!isAlive(holder.pid) || holder.ageMs > LOCK_MAX_MS);
      if (expired) rmSync(LOCK, { force: true });
      else await sleep(LOCK_RETRY_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** Linking is atomic and brings the pid along: the lock is never seen empty. */
function linked(own) {
  try {
    linkSync(own, LOCK);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function holderOfLock() {
  try {
    return { pid: Number(readFileSync(LOCK, 'utf8')), ageMs: Date.now() - statSync(LOCK).mtimeMs };
  } catch {
    return null; // given up just now
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** What killed builds left, named by their process ids. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = /^\.dist-(?:(?:old|lock)-)?(\d+)(?:-[a-z]+)?$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await build();
