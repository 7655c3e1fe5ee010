import { type LoadOptions, parseOptions } from '../load/options.js';
import { argumentsOf, readTokens, real, text, UsageError, whole } from '../load/usage.js';
import { DEFAULT_SYSTEMS, SYSTEMS, type System } from './systems.js';

export interface CompareOptions {
  readonly systems: readonly System[];
  readonly rounds: number;
  readonly rates: readonly number[];
  /** First rate of each search; undefined: no search. */
  readonly rampFrom: number | undefined;
  /** What every run has in common. */
  readonly load: LoadOptions;
  readonly resultsDir: string | undefined;
}

const USAGE = `npm run bench:compare -- [options]

Runs the same load against Parley and others, in alternating rounds, and tells ratios with their spread.

  --systems A,B         of ${SYSTEMS.map((system) => system.name).join(', ')}
                        (${DEFAULT_SYSTEMS.map((system) => system.name).join(',')})
  --rounds N            (3)
  --rates N,N           fixed rates to measure (1000,2000,4000)
  --ramp-from N         first rate of the search for the highest rate with p99 below the limit (2000)
  --no-ramp             no search
  --p99-limit N         milliseconds (100)
  --resolution N        of the search, a ratio (1.1)
  --connections N       (1000)
  --rooms N             (100)
  --seconds N           measured time of each run (10)
  --warmup N            (3)
  --drain N             (5)
  --payload-bytes N     (120)
  --processes N         loader processes (1)
  --source-addresses N  (1)
  --results DIR         compare.json and compare.txt (default: a new directory in bench/results; none: no files)
  --help

Systems
${SYSTEMS.map((system) => `  ${system.name.padEnd(20)}  ${system.about}`).join('\n')}

centrifugo and tinode are looked for as CENTRIFUGO, and TINODE and TINODE_DB (environment), on PATH, in ~/.cache/parley; else they are
built there with Go. One that isn't there and can't be built is left out.`;

export function usage(): string {
  return USAGE;
}

/** Handed to the loader's own options as they are. */
const LOAD_TOKENS = {
  connections: text('1000'),
  rooms: text('100'),
  seconds: text('10'),
  warmup: text('3'),
  drain: text('5'),
  'payload-bytes': text('120'),
  processes: text('1'),
  'source-addresses': text('1'),
  'p99-limit': text('100'),
  resolution: text('1.1'),
} as const;

const TOKENS = {
  ...LOAD_TOKENS,
  systems: text(DEFAULT_SYSTEMS.map((system) => system.name).join(',')),
  rounds: text('3'),
  rates: text('1000,2000,4000'),
  'ramp-from': text('2000'),
  'no-ramp': { type: 'boolean', default: false },
  results: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

function systemNamed(name: string): System {
  const system = SYSTEMS.find((one) => one.name === name);
  if (system === undefined) throw new UsageError(`--systems: there is no '${name}'`);
  return system;
}

/** @returns undefined when help was asked for. @throws UsageError */
export function parseCompareOptions(argv: readonly string[]): CompareOptions | undefined {
  const given = readTokens(argv, TOKENS);
  if (given.help) return undefined;
  const load = parseOptions([...argumentsOf(LOAD_TOKENS, given), '--results', 'none']);
  if (load === undefined) return undefined;
  const rates =
    given.rates === '' ? [] : given.rates.split(',').map((rate) => real('rates', rate, 1, 1_000_000));
  return {
    systems: given.systems.split(',').map(systemNamed),
    rounds: whole('rounds', given.rounds, 1, 100),
    rates,
    rampFrom: given['no-ramp'] ? undefined : real('ramp-from', given['ramp-from'], 1, 1_000_000),
    load,
    resultsDir: given.results,
  };
}
