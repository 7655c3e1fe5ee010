/** `npm run admin -- COMMAND …`. Exits 0, 1 (not found, failed), 64 (usage) or 78 (settings). */
import { parseArgs } from 'node:util';
import { audit } from './admin/audit.js';
import { block, blocks, unblock } from './admin/blocks.js';
import { type Command, Misused, type Options } from './admin/command.js';
import { forget, retain, retention } from './admin/retention.js';
import { exportRoom } from './admin/rooms.js';
import { suspend, unsuspend } from './admin/suspensions.js';
import { eraseUser, exportUser } from './admin/users.js';
import { loadToolConfig, withDatabase } from './cli-database.js';
import { openToolDatabase, StoreUnavailable, sqlState } from './store/client.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64; // sysexits.h EX_USAGE
const EXIT_CONFIG = 78; // sysexits.h EX_CONFIG, PROTOCOL §6
const MISSING_SCHEMA = new Set(['42P01', '42703']); // undefined table, undefined column
const CLOSE_S = 5;

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    suspend,
    unsuspend,
    block,
    unblock,
    blocks,
    'export-user': exportUser,
    'erase-user': eraseUser,
    retain,
    forget,
    retention,
    'export-room': exportRoom,
    audit,
  }),
);

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const complain = (line: string): boolean => process.stderr.write(`${line}\n`);

function usage(): string {
  const lines = [...COMMANDS].map(([name, { takes, does }]) => [`${name} ${takes}`.trimEnd(), does] as const);
  const width = Math.max(...lines.map(([left]) => left.length));
  return [
    'usage: npm run admin -- COMMAND',
    ...lines.map(([left, does]) => `  ${left.padEnd(width)}  ${does}`),
    'USER is a username or an id, ROOM an id, NETWORK an IP address or a CIDR range. A duration is a whole number with s, m, h or d.',
  ].join('\n');
}

/** @throws Misused */
function parse(argv: readonly string[]): { command: Command; args: readonly string[]; options: Options } {
  const [name = '', ...rest] = argv;
  const command = COMMANDS.get(name);
  if (command === undefined) throw new Misused(name === '' ? 'no command' : `there is no command ${name}`);
  const { values, positionals } = parsed(rest);
  const unknown = Object.keys(values).filter((option) => !command.options.includes(option as keyof Options));
  if (unknown.length > 0) throw new Misused(`${name} takes no --${unknown[0]}`);
  if (positionals.length + (values.all === true ? 1 : 0) !== command.arguments) {
    throw new Misused(`${name} takes ${command.takes === '' ? 'nothing' : command.takes}`);
  }
  return { command, args: positionals, options: values };
}

function parsed(args: string[]): { values: Options; positionals: string[] } {
  const text = { type: 'string' } as const;
  const options = { for: text, reason: text, limit: text, all: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new Misused((error as Error).message);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'help' || argv[0] === '--help') {
    say(usage());
    return 0;
  }
  const { command, args, options } = parse(argv);
  const loaded = loadToolConfig();
  if (!loaded.ok) {
    for (const mistake of loaded.mistakes) complain(mistake);
    return EXIT_CONFIG;
  }
  const { config } = loaded;
  await withDatabase(config, async (url) => {
    const db = openToolDatabase(url, 'parley-admin');
    try {
      await command.run({ db, config, say }, args, options);
    } finally {
      await db.end({ timeout: CLOSE_S });
    }
  });
  return 0;
}

/** One line for a person, never a stack. */
function told(error: unknown): string {
  if (error instanceof StoreUnavailable) return `the database is unavailable: ${told(error.cause)}`;
  if (MISSING_SCHEMA.has(sqlState(error) ?? '')) {
    return 'the database lacks what this needs: run `npm run migrate -- up`';
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(told(error));
  if (error instanceof Misused) complain(usage());
  process.exitCode = error instanceof Misused ? EXIT_USAGE : EXIT_FAILED;
}
