import { cpus, release, totalmem, type } from 'node:os';
import { postgresVersion } from './postgres-process.js';

/** What the figures were measured on. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string | undefined;
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
  };
}
