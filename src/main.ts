import { createInterface } from 'node:readline';
import { loadJwtSecret } from './auth/jwt-secret.js';
import { type Config, loadConfig, readDotEnv } from './config.js';
import { type Front, startFront } from './front/front.js';
import { type DirectoryLock, lockDataDir } from './lib/data-dir-lock.js';
import { createLogger, type Logger } from './observability/logger.js';
import { startEmbeddedPostgres } from './store/embedded-postgres.js';
import { migrateUp } from './store/migrations.js';

/**
 * The server's start and end.
 *
 *   settings ──► lock on DATA_DIR ──► database (embedded or given) ──► migrations ──► shards ──► listening
 *   SIGTERM or SIGINT ──► drained ──► database stopped ──► lock released ──► exit 0
 */
const EXIT_CONFIG = 78; // EX_CONFIG of sysexits(3)
const EXIT_DEADLINE_MS = 4_800; // of the five seconds for everything: what hangs then is left

interface Running {
  readonly front: Front;
  readonly lock: DirectoryLock;
  readonly stopDatabase: () => Promise<void>;
}

async function start(config: Config, log: Logger): Promise<Running> {
  const lock = await lockDataDir(config.dataDir);
  const embedded =
    config.database === null
      ? await startEmbeddedPostgres({
          dataDir: config.dataDir,
          log: (event, fields) => log.info({ event, ...fields }),
        })
      : null;
  try {
    const databaseUrl = config.database?.url ?? embedded?.url ?? '';
    const { changed, warnings } = await migrateUp(databaseUrl);
    if (changed.length > 0) log.info({ event: 'migrated', migrations: changed });
    for (const warning of warnings) log.warn({ event: 'migration_warning', warning });
    const jwtSecret = await loadJwtSecret(config);
    const front = await startFront({ config, databaseUrl, jwtSecret, log });
    const { port, metricsPort } = front;
    log.info({
      event: 'listening',
      host: config.server.host,
      port,
      metrics_port: metricsPort,
      pid: process.pid,
    });
    return { front, lock, stopDatabase: async () => embedded?.stop() };
  } catch (error) {
    await embedded?.stop();
    await lock.release();
    throw error;
  }
}

async function stop(running: Running, log: Logger, signal: string): Promise<void> {
  log.info({ event: 'draining', signal });
  setTimeout(() => {
    log.error({ event: 'drain_timed_out' });
    process.exit(1);
  }, EXIT_DEADLINE_MS).unref();
  await running.front.drain();
  await running.stopDatabase();
  await running.lock.release();
  log.info({ event: 'stopped' });
  process.exit(0);
}

/** Lets tests cause faults that can't be caused from outside: a line `{"crash_shard": n}` on stdin. */
function takeFaults(front: Front): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { crash_shard } = JSON.parse(line) as { crash_shard?: number };
    if (crash_shard !== undefined) front.crashShard(crash_shard);
  });
}

readDotEnv();
const loaded = loadConfig(process.env);
if (!loaded.ok) {
  for (const mistake of loaded.mistakes) process.stderr.write(`${mistake}\n`);
  process.exit(EXIT_CONFIG);
}
const { config } = loaded;
const log = createLogger(config.logLevel, {});
let running: Promise<Running> | null = null;
let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping || running === null) return;
    stopping = true;
    running.then((started) => stop(started, log, signal)).catch(fail);
  });
}
running = start(config, log);
running
  .then(({ front }) => {
    if (process.env.PARLEY_TEST_FAULTS === '1' && config.nodeEnv === 'test') takeFaults(front);
  })
  .catch(fail);

function fail(error: unknown): void {
  log.fatal({ event: 'failed', err: error });
  process.exit(1);
}
