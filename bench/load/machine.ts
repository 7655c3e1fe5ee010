import { execFile } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { postgresVersion } from './postgres-process.js';

/** What the figures were measured on, and what of. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string | undefined;
  /** The commit, with `-dirty` where the checkout holds changes to it; undefined outside of a checkout. */
  readonly commit: string | undefined;
}

async function checkedOut(): Promise<string | undefined> {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)('git', ['describe', '--always', '--dirty', '--exclude=*'], {
      cwd,
    });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

/** @param postgresPid the postmaster, if known. */
export async function readMachineFacts(postgresPid: number | undefined): Promise<MachineFacts> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    postgres: postgresPid === undefined ? undefined : await postgresVersion(postgresPid),
    commit: await checkedOut(),
  };
}
