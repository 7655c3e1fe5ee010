/** `npm run migrate -- up | down [--all] | status | create NAME`. Exits 0, 1 (failed), 64 (usage) or 78 (settings). */
import { type Config, loadConfig, readDotEnv } from './config.js';
import { JWT_SECRET_MIN_BYTES } from './config-settings.js';
import { type DirectoryInUseError, type DirectoryLock, lockDataDir } from './lib/data-dir-lock.js';
import { startEmbeddedPostgres } from './store/embedded-postgres.js';
import { createMigration } from './store/migration-files.js';
import { migrateDown, migrateUp, migrationStatus } from './store/migrations.js';
import { UnknownSearchLanguage } from './store/search-language.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64; // sysexits.h EX_USAGE
const EXIT_CONFIG = 78; // sysexits.h EX_CONFIG, PROTOCOL §6

const USAGE = 'usage: npm run migrate -- up | down [--all] | status | create NAME';

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const complain = (line: string): boolean => process.stderr.write(`${line}\n`);

type Command = (url: string, config: Config) => Promise<void>;

/** null: there is no such command. */
function commandOf(args: readonly string[]): Command | null {
  const [command, option] = args;
  const bare = args.length === 1;
  if (command === 'up' && bare) return up;
  if (command === 'status' && bare) return status;
  if (command === 'down' && (bare || (option === '--all' && args.length === 2))) {
    return (url) => down(url, option === '--all');
  }
  return null;
}

async function up(url: string, { searchLanguage }: Config): Promise<void> {
  const { changed, warnings } = await migrateUp(url, { searchLanguage });
  for (const warning of warnings) complain(`warning: ${warning}`);
  for (const id of changed) say(`applied ${id}`);
  if (changed.length === 0) say('nothing to apply');
}

async function down(url: string, all: boolean): Promise<void> {
  const { changed } = await migrateDown(url, { all });
  for (const id of changed) say(`undone  ${id}`);
  if (changed.length === 0) say('nothing to undo');
}

async function status(url: string): Promise<void> {
  const rows = await migrationStatus(url);
  for (const { version, name, state, appliedAt } of rows) {
    const id = `${String(version).padStart(6, '0')}_${name}`;
    say(`${state.padEnd(8)} ${appliedAt?.toISOString() ?? '-'.padEnd(24)} ${id}`);
  }
  if (rows.length === 0) say('no migrations');
}

/**
 * Runs with the embedded cluster: the running one, where a server has it, else one of its own, under the server's
 * lock, so that no server adopts what is about to be stopped.
 */
async function withEmbeddedDatabase(dataDir: string, run: (url: string) => Promise<void>): Promise<void> {
  const lock = await lockDataDir(dataDir).catch((error: DirectoryInUseError): DirectoryLock | null => {
    if (error.code === 'DIRECTORY_IN_USE') return null;
    throw error;
  });
  try {
    const cluster = await startEmbeddedPostgres({ dataDir, log: () => {} });
    await run(cluster.url).finally(() => (cluster.adopted ? undefined : cluster.stop()));
  } finally {
    lock?.release();
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'create' && args[1] !== undefined && args.length === 2) {
    for (const path of await createMigration(args[1])) say(`created ${path}`);
    return 0;
  }
  const command = commandOf(args);
  if (!command) {
    complain(USAGE);
    return EXIT_USAGE;
  }
  readDotEnv();
  // Migrations sign no tokens: they run in production without its key.
  const loaded = loadConfig({
    ...process.env,
    JWT_SECRET: process.env.JWT_SECRET || 'x'.repeat(JWT_SECRET_MIN_BYTES),
  });
  if (!loaded.ok) {
    for (const mistake of loaded.mistakes) complain(mistake);
    return EXIT_CONFIG;
  }
  const { config } = loaded;
  const run = (url: string): Promise<void> => command(url, config);
  await (config.database ? run(config.database.url) : withEmbeddedDatabase(config.dataDir, run));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UnknownSearchLanguage ? EXIT_CONFIG : EXIT_FAILED;
}
