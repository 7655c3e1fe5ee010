/** Finds a k6, or builds one with Go into a cache directory. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The newest release of k6's first major version, whose module path Go's proxy serves; it needs Go 1.25. */
const K6_VERSION = 'v1.8.1';

/** Where Go's own installer puts it, for shells that don't have it on PATH. */
const GO_PLACES = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'];

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first of this name on a PATH. */
export function onPath(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'parley', `k6-${K6_VERSION}`);
}

function build(directory: string, say: (text: string) => void): string {
  const go = onPath('go', process.env.PATH ?? '') ?? GO_PLACES.find(existsSync);
  if (go === undefined) {
    throw new Error('no k6 on PATH, none named by K6, and no Go to build one: https://grafana.com/docs/k6');
  }
  mkdirSync(directory, { recursive: true });
  say(`building k6 ${K6_VERSION} with ${go}: this takes some minutes, once`);
  const { status, stderr } = spawnSync(go, ['install', `go.k6.io/k6@${K6_VERSION}`], {
    env: { ...process.env, GOBIN: directory },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`go install failed:\n${stderr}`);
  return join(directory, 'k6');
}

/**
 * `K6`, else k6 on PATH, else the one in the cache, else a new one there.
 * @throws Error with what to do when there is none and none can be built.
 */
export function findK6(say: (text: string) => void): string {
  const named = process.env.K6;
  if (named !== undefined && named !== '') {
    if (!isExecutable(named)) throw new Error(`K6 names ${named}, which can't be run`);
    return named;
  }
  const directory = cacheDirectory();
  const cached = join(directory, 'k6');
  const found = onPath('k6', process.env.PATH ?? '') ?? (isExecutable(cached) ? cached : undefined);
  return found ?? build(directory, say);
}
