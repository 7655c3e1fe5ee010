/** The files of the embedded cluster: its password and its directory, each there whole or not at all. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PostgresBinaries, postgresEnvironment } from './postgres-binaries.js';
import { EMBEDDED_ROLE } from './postmaster.js';

const LOG_TAIL_LINES = 15;
const INIT_PREFIX = 'postgres.init-';

/**
 * Makes `clusterDir` with initdb unless it is there. The caller holds the start lock.
 *
 * @throws where the cluster is there and its password isn't, or initdb fails
 */
export async function prepareCluster(
  binaries: PostgresBinaries,
  dataDir: string,
  clusterDir: string,
): Promise<{ password: string; created: boolean }> {
  const password = await passwordOf(dataDir, clusterDir);
  await removeInterruptedInits(dataDir);
  if (await exists(clusterDir)) return { password, created: false };
  await initCluster(binaries, dataDir, clusterDir, password);
  return { password, created: true };
}

/** Generated once per DATA_DIR; on disk whole before the cluster that knows it. */
async function passwordOf(dataDir: string, clusterDir: string): Promise<string> {
  const file = join(dataDir, 'postgres.password');
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (kept !== '') return kept;
  if (await exists(clusterDir)) {
    throw new Error(
      `${file} is gone, and with it the way into ${clusterDir}; restore it, or remove both to start empty`,
    );
  }
  const password = randomBytes(24).toString('base64url');
  await writeFile(`${file}.new`, `${password}\n`, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
  return password;
}

/** The start lock is held, so nobody is at work in them, but for an initdb whose parent was killed: it may fail. */
async function removeInterruptedInits(dataDir: string): Promise<void> {
  const left = (await readdir(dataDir)).filter((name) => name.startsWith(INIT_PREFIX));
  for (const name of left) {
    await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }).catch(
      () => undefined,
    );
  }
}

/** initdb works in a directory beside the final one: the cluster appears whole or not at all. */
async function initCluster(
  binaries: PostgresBinaries,
  dataDir: string,
  clusterDir: string,
  password: string,
) {
  const workDir = await mkdtemp(join(dataDir, INIT_PREFIX));
  try {
    const passwordFile = join(workDir, 'password');
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (binaries.owner) {
      for (const path of [workDir, passwordFile]) await chown(path, binaries.owner.uid, binaries.owner.gid);
    }
    const made = join(workDir, 'cluster');
    const command = binaries.command('initdb', [
      `--pgdata=${made}`,
      `--username=${EMBEDDED_ROLE}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
    ]);
    const options = { ...command.identity, cwd: '/', env: postgresEnvironment() };
    await promisify(execFile)(command.file, command.args, options).catch(
      (error: Error & { stderr?: string }) => {
        throw new Error(`initdb failed in ${workDir}: ${lastLines(error.stderr || error.message)}`, {
          cause: error,
        });
      },
    );
    await rename(made, clusterDir);
    await syncDirectory(dataDir);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  await directory.sync().finally(() => directory.close());
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** The end of a log, enough to see why a start failed. */
export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
