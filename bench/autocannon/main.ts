/**
 * REST under a fixed load, with marks: `npm run bench:rest -- --help`. Exit codes: 0 all marks met, 1 a mark missed,
 * 2 the run couldn't be made, 64 a mistake on the command line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readMachineFacts } from '../load/machine.js';
import { createRestClient } from '../load/rest-client.js';
import { resultsDirectory, writeJson } from '../load/result-files.js';
import { type ServerProcess, startServer } from '../load/server-process.js';
import { say } from '../load/terminal.js';
import { oneOf, real, UsageError, whole } from '../load/usage.js';
import { formatOutcomes, judge, type Outcome } from './outcome.js';
import { shoot } from './shoot.js';
import { makeRestScene, SUITE_NAMES, type SuiteName, suitesOf } from './suites.js';

const USAGE = `npm run bench:rest -- [options]

  --suites A,B       of ${SUITE_NAMES.join(', ')} (all)
  --seconds N        of each suite (10)
  --warmup N         seconds before it, asked at the same rate: not measured, but its failures count (5)
  --load N           multiplies every suite's rate, to whole requests a second of each client (1)
  --rooms N          rooms that the suites go round (20)
  --messages N       messages in each (200)
  --url URL          a running server (default: start dist/src/main.js with limits off, passwords at their default cost)
  --database-url U   given to the server it starts as DATABASE_URL
  --results DIR      rest.json, rest.txt (default: a new directory in bench/results; none: no files)
  --help`;

const EXIT_MISSED = 1;
const EXIT_NO_RUN = 2;
/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

/** A login has to cost here what it costs in production: the defaults of the settings. */
const DEFAULT_HASHES = { PASSWORD_HASH_MEMORY_KIB: '19456', PASSWORD_HASH_PASSES: '2' };

interface RestOptions {
  readonly suites: readonly SuiteName[];
  readonly seconds: number;
  readonly warmup: number;
  readonly load: number;
  readonly rooms: number;
  readonly messages: number;
  readonly url: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly results: string | undefined;
}

function parseOptions(argv: readonly string[]): RestOptions | undefined {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      suites: text(SUITE_NAMES.join(',')),
      seconds: text('10'),
      warmup: text('5'),
      load: text('1'),
      rooms: text('20'),
      messages: text('200'),
      url: { type: 'string' },
      'database-url': { type: 'string' },
      results: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    suites: values.suites.split(',').map((name) => oneOf('suites', name, SUITE_NAMES)),
    seconds: real('seconds', values.seconds, 1, 3_600),
    warmup: real('warmup', values.warmup, 0, 600),
    load: real('load', values.load, 0.01, 1_000),
    rooms: whole('rooms', values.rooms, 1, 10_000),
    messages: whole('messages', values.messages, 1, 100_000),
    url: values.url,
    databaseUrl: values['database-url'],
    results: values.results,
  };
}

async function runSuites(options: RestOptions, origin: string): Promise<Outcome[]> {
  const rest = createRestClient(origin);
  const scene = await makeRestScene(rest, { rooms: options.rooms, messagesPerRoom: options.messages });
  say(`${options.rooms} rooms of ${options.messages} messages`);
  const suites = suitesOf(scene, options.load);
  const outcomes: Outcome[] = [];
  for (const name of options.suites) {
    say(`${name}: ${suites[name].rate} requests a second for ${options.seconds} s`);
    outcomes.push(judge(suites[name], await shoot(rest, origin, suites[name], options)));
  }
  return outcomes;
}

async function run(options: RestOptions): Promise<boolean> {
  let server: ServerProcess | undefined;
  try {
    if (options.url === undefined) server = await startServer(options.databaseUrl, undefined, DEFAULT_HASHES);
    const origin = server?.origin ?? new URL(options.url ?? '').origin;
    const outcomes = await runSuites(options, origin);
    const table = formatOutcomes(outcomes);
    console.log(`\n${table}`);
    const directory = resultsDirectory(options.results, 'rest');
    if (directory !== undefined) {
      const machine = await readMachineFacts(undefined);
      writeJson(join(directory, 'rest.json'), { machine, seconds: options.seconds, outcomes });
      writeFileSync(join(directory, 'rest.txt'), `${table}\n`);
      console.log(`\nfiles in ${directory}`);
    }
    return outcomes.every(({ verdict }) => verdict !== 'missed');
  } finally {
    await server?.stop();
  }
}

function readOptions(): RestOptions | undefined {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) console.log(USAGE);
    return options;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof TypeError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
    return undefined;
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  try {
    if (!(await run(options))) process.exitCode = EXIT_MISSED;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = EXIT_NO_RUN;
  }
}

await main();
