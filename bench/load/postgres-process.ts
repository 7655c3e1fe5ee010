/** Finds the PostgreSQL that a server started for itself, and its version. */
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** The cluster lies in or just below DATA_DIR. */
const MAX_DEPTH = 3;

/** The postmaster's process id from the `postmaster.pid` in or below `directory`, or undefined. */
export async function findPostmaster(directory: string, depth = 0): Promise<number | undefined> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  if (entries.some((entry) => entry.name === 'postmaster.pid')) {
    const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
    const pid = Number(text.split('\n')[0]);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  }
  if (depth === MAX_DEPTH) return undefined;
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const found = await findPostmaster(join(directory, entry.name), depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** DATA_DIR of a server that the bench didn't start, from its environment and working directory (Linux only). */
export async function dataDirOf(serverPid: number): Promise<string | undefined> {
  try {
    const environment = await readFile(`/proc/${serverPid}/environ`, 'utf8');
    const setting = environment.split('\0').find((entry) => entry.startsWith('DATA_DIR='));
    return resolve(await readlink(`/proc/${serverPid}/cwd`), setting?.slice('DATA_DIR='.length) ?? './data');
  } catch {
    return undefined;
  }
}

/** What `postgres --version` of the running binary says, e.g. `postgres (PostgreSQL) 18.4`. */
export async function postgresVersion(postmasterPid: number): Promise<string | undefined> {
  try {
    const binary = await readlink(`/proc/${postmasterPid}/exe`);
    const { stdout } = await promisify(execFile)(binary, ['--version']);
    return stdout.trim();
  } catch {
    return undefined;
  }
}
