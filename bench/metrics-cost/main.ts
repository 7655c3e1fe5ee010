/**
 * What do the metrics cost? The same load against the server and against one that measures nothing, in alternating rounds:
 * `npm run bench:metrics-cost -- --help`. Exit codes: 0 every run could be made, 1 some couldn't, 64 a mistake on the command
 * line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ratioOf } from '../compare/comparison.js';
import { readMachineFacts } from '../load/machine.js';
import { type LoadOptions, parseOptions } from '../load/options.js';
import type { LoadResult } from '../load/result.js';
import { resultsDirectory, writeJson } from '../load/result-files.js';
import { runLoad } from '../load/run.js';
import { type Spread, spreadOf } from '../load/spread.js';
import { say } from '../load/terminal.js';
import { argumentsOf, readTokens, real, text, UsageError, whole } from '../load/usage.js';
import { type CostByTurns, measureByTurns } from './by-turns.js';
import { linesOfMetrics, makeUnmetered } from './variants.js';

/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

const USAGE = `npm run bench:metrics-cost -- [options]

First loads a server whose metrics count and time by turns, some 0.7 s each, and compares the CPU of the turns with and without.
Then runs the same load against the server and against one without metrics, in alternating rounds. At a rate that both keep it
compares the server's CPU a message; at one beyond what they can do, the messages acknowledged a second.

  --turn-seconds N       measured time of the server with turns, at --rate; 0: leave it out (300)
  --rounds N             0: leave them out (5)
  --rate N               messages a second that both keep; 0: leave it out (4000)
  --saturating-rate N    messages a second beyond what they can do; 0: leave it out (20000)
  --connections N        (1000)
  --rooms N              (100)
  --seconds N            measured time of each run (20)
  --warmup N             (5)
  --drain N              (10)
  --database-url URL     instead of each server's own PostgreSQL
  --results DIR          metrics-cost.json and .txt (default: a new directory in bench/results; none: no files)
  --help`;

type Variant = 'metered' | 'unmetered';

interface Run {
  readonly round: number;
  readonly variant: Variant;
  readonly rate: number;
  /** Undefined: the run couldn't be finished. */
  readonly result: LoadResult | undefined;
}

interface Options {
  readonly turnSeconds: number;
  readonly rounds: number;
  readonly rate: number;
  readonly saturatingRate: number;
  readonly databaseUrl: string | undefined;
  readonly load: LoadOptions;
  readonly resultsDir: string | undefined;
}

/** Handed to the loader's own options as they are. */
const LOAD_TOKENS = {
  connections: text('1000'),
  rooms: text('100'),
  seconds: text('20'),
  warmup: text('5'),
  drain: text('10'),
} as const;

const TOKENS = {
  ...LOAD_TOKENS,
  'turn-seconds': text('300'),
  rounds: text('5'),
  rate: text('4000'),
  'saturating-rate': text('20000'),
  'database-url': { type: 'string' },
  results: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** @returns undefined when help was asked for. @throws UsageError */
function readOptions(argv: readonly string[]): Options | undefined {
  const given = readTokens(argv, TOKENS);
  if (given.help) return undefined;
  const databaseUrl = given['database-url'];
  const load = parseOptions([
    ...argumentsOf(LOAD_TOKENS, given),
    ...(databaseUrl === undefined ? [] : ['--database-url', databaseUrl]),
    '--allow-overload',
    '--results',
    'none',
  ]);
  if (load === undefined) return undefined;
  const rate = (name: 'rate' | 'saturating-rate') => real(name, given[name], 0, 1_000_000);
  return {
    turnSeconds: whole('turn-seconds', given['turn-seconds'], 0, 3_600),
    rounds: whole('rounds', given.rounds, 0, 100),
    rate: rate('rate'),
    saturatingRate: rate('saturating-rate'),
    databaseUrl,
    load,
    resultsDir: given.results,
  };
}

async function oneRun(load: LoadOptions, entry: string | undefined, run: Omit<Run, 'result'>): Promise<Run> {
  say(`round ${run.round + 1}: ${run.variant} at ${run.rate} msg/s`);
  try {
    const { result } = await runLoad({ ...load, rate: run.rate, serverEntry: entry }, say);
    return { ...run, result };
  } catch (error) {
    say(`  failed: ${error instanceof Error ? error.message : String(error)}`);
    return { ...run, result: undefined };
  }
}

const acked = ({ result }: Run): number | undefined => result?.rates.acked;

/** Microseconds. */
const cpuOfMessage = ({ result }: Run): number | undefined => {
  const cores = result?.usage.server?.cores;
  return result === undefined || cores === undefined ? undefined : (1e6 * cores) / result.rates.acked;
};

function figures(of: Spread | undefined, digits: number): string {
  if (of === undefined) return 'n/a';
  const told = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: digits });
  return `${told(of.median)} (${told(of.min)}–${told(of.max)})`;
}

/** One measure of both, and what the metrics cost by it. @param more 1: a cost makes it larger; -1: smaller */
function table(
  title: string,
  runs: readonly Run[],
  rounds: number,
  measure: (run: Run) => number | undefined,
  more: 1 | -1,
): string {
  const of = (variant: Variant) => runs.filter((run) => run.variant === variant);
  const at = (variant: Variant) => (round: number) =>
    of(variant)
      .filter((run) => run.round === round)
      .map(measure)[0];
  const spread = (variant: Variant) => spreadOf(of(variant).flatMap((run) => measure(run) ?? []));
  const ratio = ratioOf(rounds, at('metered'), at('unmetered'));
  const cost = (value: number) => 100 * more * (value - 1);
  const costs = ratio === undefined ? undefined : spreadOf([ratio.min, ratio.median, ratio.max].map(cost));
  return [
    title,
    `  with metrics     ${figures(spread('metered'), 1)}`,
    `  without          ${figures(spread('unmetered'), 1)}`,
    `  cost, %          ${figures(costs, 2)}`,
  ].join('\n');
}

function tellTurns({ cost, control, cycles, cpuOfMessage }: CostByTurns, rate: number): string {
  const told = ({ percent, within }: CostByTurns['cost']) => `${percent.toFixed(2)} ± ${within.toFixed(2)}`;
  return [
    `by turns at ${rate} msg/s: CPU of the server, ${cycles} times on, off, off, on; ${cpuOfMessage.toFixed(1)} µs a message`,
    `  cost, %          ${told(cost)} (95 %)`,
    `  of equal turns   ${told(control)}`,
  ].join('\n');
}

async function runRounds({ databaseUrl, rounds, ...options }: Options): Promise<Run[]> {
  const unmetered = makeUnmetered();
  const runs: Run[] = [];
  try {
    const entries: Record<Variant, string | undefined> = { metered: undefined, unmetered: unmetered.entry };
    const lines = await linesOfMetrics(databaseUrl, entries.metered);
    const none = await linesOfMetrics(databaseUrl, entries.unmetered);
    if (lines === 0 || none > 0) throw new Error(`${lines} samples with metrics, ${none} without`);
    const rates = [options.rate, options.saturatingRate].filter((rate) => rate > 0);
    for (let round = 0; round < rounds; round += 1) {
      // A, B then B, A: what drifts in the machine hits both alike.
      const order: Variant[] = round % 2 === 0 ? ['metered', 'unmetered'] : ['unmetered', 'metered'];
      for (const rate of rates)
        for (const variant of order)
          runs.push(await oneRun(options.load, entries[variant], { round, variant, rate }));
    }
  } finally {
    unmetered.remove();
  }
  return runs;
}

function tellRounds(runs: readonly Run[], { rounds, rate, saturatingRate }: Options): string[] {
  const at = (wanted: number) => runs.filter((run) => run.rate === wanted);
  return [
    `median of ${rounds} rounds (range)`,
    ...(rate > 0
      ? [table(`at ${rate} msg/s: CPU of the server a message, µs`, at(rate), rounds, cpuOfMessage, 1)]
      : []),
    ...(saturatingRate > 0
      ? [table(`at ${saturatingRate} msg/s: acknowledged a second`, at(saturatingRate), rounds, acked, -1)]
      : []),
  ];
}

async function measure(options: Options): Promise<boolean> {
  const startedAt = new Date().toISOString();
  const { rounds, rate, turnSeconds } = options;
  const turns =
    turnSeconds === 0 || rate === 0
      ? undefined
      : await measureByTurns({ ...options.load, rate, seconds: turnSeconds }, say);
  const runs = rounds === 0 ? [] : await runRounds(options);
  const told = [
    ...(turns === undefined ? [] : [tellTurns(turns, rate)]),
    ...(rounds === 0 ? [] : tellRounds(runs, options)),
  ].join('\n\n');
  console.log(`\n${told}`);
  const directory = resultsDirectory(options.resultsDir, 'metrics-cost');
  if (directory !== undefined) {
    const machine = await readMachineFacts(undefined);
    writeJson(join(directory, 'metrics-cost.json'), {
      startedAt,
      machine,
      options: options.load,
      turns,
      runs,
    });
    writeFileSync(join(directory, 'metrics-cost.txt'), `${told}\n`);
    console.log(`\nfiles in ${directory}`);
  }
  return runs.every((run) => run.result !== undefined);
}

async function main(): Promise<void> {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === undefined) console.log(USAGE);
    else if (!(await measure(options))) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
  }
}

await main();
