/**
 * Parley beside others under the same loader: `npm run bench:compare -- --help`. Exit codes: 0 every system could be measured,
 * 1 some run couldn't be made, 64 a mistake on the command line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMachineFacts } from '../load/machine.js';
import type { LoadOptions } from '../load/options.js';
import { isLoaderBound, keptUp, runRamp } from '../load/ramp.js';
import { resultsDirectory, writeJson } from '../load/result-files.js';
import { runLoad } from '../load/run.js';
import { say } from '../load/terminal.js';
import { UsageError } from '../load/usage.js';
import type { FixedRun, FoundRate } from './comparison.js';
import { buildPeer } from './go-peers.js';
import { type CompareOptions, parseCompareOptions, usage } from './options.js';
import { orderOfRound, type System } from './systems.js';
import { formatComparison } from './table.js';

/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

function optionsFor(options: CompareOptions, system: System, rate: number): LoadOptions {
  return { ...options.load, rate, dialect: system.dialect, serverEntry: system.entry };
}

async function fixedRun(
  options: CompareOptions,
  system: System,
  round: number,
  rate: number,
): Promise<FixedRun> {
  say(`round ${round + 1}: ${system.name} at ${rate} msg/s`);
  try {
    const { result } = await runLoad(optionsFor(options, system, rate), say);
    return {
      round,
      system: system.name,
      rate,
      keptUp: keptUp(result, system.isOrdered),
      loaderBound: isLoaderBound(result),
      result,
    };
  } catch (error) {
    say(`  failed: ${error instanceof Error ? error.message : String(error)}`);
    return { round, system: system.name, rate, keptUp: false, loaderBound: false, result: undefined };
  }
}

async function search(
  options: CompareOptions,
  system: System,
  round: number,
  from: number,
): Promise<FoundRate> {
  say(`round ${round + 1}: highest rate of ${system.name}`);
  const { highest, steps } = await runRamp(optionsFor(options, system, from), say, system.isOrdered);
  const best = steps.find((step) => step.rate === highest)?.outcome?.result;
  return { round, system: system.name, highest, loaderBound: best !== undefined && isLoaderBound(best) };
}

/** Those that can be started: what has to be built is, and what can't be is told. */
function available(systems: readonly System[]): System[] {
  return systems.filter(({ name, peer }) => {
    if (peer === undefined) return true;
    try {
      buildPeer(peer, say);
      return true;
    } catch (error) {
      say(`without ${name}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  });
}

/** @returns whether all that was asked for could be measured. */
async function compare(asked: CompareOptions): Promise<boolean> {
  const options = { ...asked, systems: available(asked.systems) };
  const startedAt = new Date().toISOString();
  const fixed: FixedRun[] = [];
  const found: FoundRate[] = [];
  const startOf = new Map<string, number>();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const system of orderOfRound(options.systems, round)) {
      for (const rate of options.rates) fixed.push(await fixedRun(options, system, round, rate));
      if (options.rampFrom === undefined) continue;
      // Later rounds begin where the one before ended: fewer steps to the same answer.
      const one = await search(options, system, round, startOf.get(system.name) ?? options.rampFrom);
      if (one.highest > 0) startOf.set(system.name, one.highest);
      found.push(one);
    }
  }
  const table = formatComparison(
    { fixed, found },
    {
      systems: options.systems.map((system) => system.name),
      rates: options.rates,
      rounds: options.rounds,
      p99LimitMs: options.load.p99LimitMs,
    },
  );
  console.log(`\n${table}`);
  const directory = resultsDirectory(options.resultsDir, 'compare');
  if (directory !== undefined) {
    const machine = await readMachineFacts(undefined);
    writeJson(join(directory, 'compare.json'), { startedAt, machine, options: options.load, fixed, found });
    writeFileSync(join(directory, 'compare.txt'), `${table}\n`);
    console.log(`\nfiles in ${directory}`);
  }
  return options.systems.length === asked.systems.length && fixed.every((run) => run.result !== undefined);
}

async function main(): Promise<void> {
  try {
    const options = parseCompareOptions(process.argv.slice(2));
    if (options === undefined) console.log(usage());
    else if (!(await compare(options))) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage()}`);
    process.exitCode = EXIT_USAGE;
  }
}

await main();
