/** `npm run migrate -- up | down [--all] | status | create NAME`. Exits 0, 1 (failed), 64 (usage) or 78 (settings). */
import { loadToolConfig, withDatabase } from './cli-database.js';
import type { Config } from './config.js';
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
  const loaded = loadToolConfig();
  if (!loaded.ok) {
    for (const mistake of loaded.mistakes) complain(mistake);
    return EXIT_CONFIG;
  }
  const { config } = loaded;
  await withDatabase(config, (url) => command(url, config));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UnknownSearchLanguage ? EXIT_CONFIG : EXIT_FAILED;
}
