import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { isProcessAlive } from '../../src/lib/process-identity.js';
import { migrateDatabase, TEMPLATE_DATABASE } from './database-schema.js';
import { createCluster, removeDirectory } from './postgres-cluster.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Directory of this run: data directories, logs, one file in `pids` for each server started. */
    readonly runDirectory: string;
    /** The cluster's database `postgres`, from which test databases are created. */
    readonly adminUrl: string;
  }
}

/** One PostgreSQL for the whole run, and a template database with every migration applied. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runDirectory = await mkdtemp(join(tmpdir(), 'parley-test-'));
  await mkdir(join(runDirectory, 'pids'));
  const cluster = await createCluster({ directory: runDirectory, durable: false });
  const adminUrl = cluster.url('postgres');
  const admin = postgres(adminUrl, { max: 1, onnotice: () => undefined });
  await admin`create database ${admin(TEMPLATE_DATABASE)}`;
  await admin.end();
  await migrateDatabase(cluster.url(TEMPLATE_DATABASE));
  project.provide('runDirectory', runDirectory);
  project.provide('adminUrl', adminUrl);
  return async () => {
    await killLeftovers(join(runDirectory, 'pids'));
    await cluster.stop('immediate');
    await removeDirectory(runDirectory);
  };
}

/** Servers of test files that ended without their own clean-up. */
async function killLeftovers(directory: string): Promise<void> {
  const pids = (await readdir(directory)).map(Number);
  for (const pid of pids.filter(isProcessAlive)) process.kill(pid, 'SIGKILL');
}
