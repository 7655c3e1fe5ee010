import { type Config, loadConfig, readDotEnv } from './config.js';
import { JWT_SECRET_MIN_BYTES } from './config-settings.js';
import { type DirectoryInUseError, type DirectoryLock, lockDataDir } from './lib/data-dir-lock.js';
import { startEmbeddedPostgres } from './store/embedded-postgres.js';

/** Reads the settings for a command line. It signs no tokens: it runs in production without their key. */
export function loadToolConfig(): ReturnType<typeof loadConfig> {
  readDotEnv();
  return loadConfig({
    ...process.env,
    JWT_SECRET: process.env.JWT_SECRET || 'x'.repeat(JWT_SECRET_MIN_BYTES),
  });
}

/** Runs with the address of the server's database, whether the server runs or not. */
export function withDatabase<T>(config: Config, run: (url: string) => Promise<T>): Promise<T> {
  return config.database ? run(config.database.url) : withEmbeddedDatabase(config.dataDir, run);
}

/**
 * Runs with the embedded cluster: the running one, where a server has it, else one of its own, under the server's
 * lock, so that no server adopts what is about to be stopped.
 */
async function withEmbeddedDatabase<T>(dataDir: string, run: (url: string) => Promise<T>): Promise<T> {
  const lock = await lockDataDir(dataDir).catch((error: DirectoryInUseError): DirectoryLock | null => {
    if (error.code === 'DIRECTORY_IN_USE') return null;
    throw error;
  });
  try {
    const cluster = await startEmbeddedPostgres({ dataDir, log: () => {} });
    return await run(cluster.url).finally(() => (cluster.adopted ? undefined : cluster.stop()));
  } finally {
    lock?.release();
  }
}
