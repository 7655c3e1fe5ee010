import { loadJwtSecret } from './auth/jwt-secret.js';
import type { Config } from './config.js';
import { lockDataDir } from './lib/data-dir-lock.js';
import type { Logger } from './observability/logger.js';
import { startEmbeddedPostgres } from './store/embedded-postgres.js';
import { migrateUp } from './store/migrations.js';

/** What a server has once, however many processes serve: the lock on DATA_DIR, the database, the secrets. */
export interface Host {
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  stop(): Promise<void>;
}

/** Makes everything ready to serve, migrations included. @throws with everything undone */
export async function startHost(config: Config, log: Logger): Promise<Host> {
  const lock = await lockDataDir(config.dataDir);
  warnOfOwnStorage(config, log);
  const embedded =
    config.database === null
      ? await startEmbeddedPostgres({
          dataDir: config.dataDir,
          log: (event, fields) => log.info({ event, ...fields }),
        })
      : null;
  const stop = async (): Promise<void> => {
    await embedded?.stop();
    lock.release();
  };
  try {
    const databaseUrl = config.database?.url ?? embedded?.url ?? '';
    const { changed, warnings } = await migrateUp(databaseUrl, { searchLanguage: config.searchLanguage });
    if (changed.length > 0) log.info({ event: 'migrated', migrations: changed });
    for (const warning of warnings) log.warn({ event: 'migration_warning', warning });
    return { databaseUrl, jwtSecret: await loadJwtSecret(config), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Nodes that each keep their own files don't find one another's: uploads would seem lost by turns. */
function warnOfOwnStorage({ redis, storage }: Config, log: Logger): void {
  if (redis === null || storage.type !== 'local' || !storage.isOwn) return;
  log.warn({ event: 'storage_not_shared', directory: storage.directory });
}
