/**
 * The open-loop load generator: `npm run bench:load -- --help`. Exit codes: 0 passed, 1 failed checks or over capacity,
 * 2 the run couldn't be made or finished (set-up refused, server or loader died), 64 a mistake on the command line.
 */
import { type LoadOptions, parseOptions, UsageError, usage } from './options.js';
import { runRamp } from './ramp.js';
import { formatReport } from './report.js';
import { writeRamp, writeRun } from './result-files.js';
import { runLoad } from './run.js';
import { say } from './terminal.js';

const EXIT_FAILED = 1;
const EXIT_NO_RUN = 2;
/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

function readOptions(): LoadOptions | undefined {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) console.log(usage());
    return options;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage()}`);
    process.exitCode = EXIT_USAGE;
    return undefined;
  }
}

/** @returns whether it passed. */
async function oneRun(options: LoadOptions): Promise<boolean> {
  const run = await runLoad(options, say);
  console.log(`\n${formatReport(run.result)}`);
  tellFiles(writeRun(options, run));
  return run.result.verdict === 'passed';
}

/** @returns whether any rate passed. */
async function ramp(options: LoadOptions): Promise<boolean> {
  const search = await runRamp(options, say);
  const best = search.steps.find((step) => step.rate === search.highest)?.outcome;
  if (best !== undefined) console.log(`\n${formatReport(best.result)}`);
  console.log(
    `\nhighest rate with p99 delivery below ${options.p99LimitMs} ms: ${Math.round(search.highest)} msg/s` +
      ` (${search.steps.length} steps, to a ratio of ${options.resolution})`,
  );
  tellFiles(writeRamp(options, search));
  return search.highest > 0;
}

function tellFiles(directory: string | undefined): void {
  if (directory !== undefined) console.log(`\nfiles in ${directory}`);
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  try {
    const passed = await (options.ramp ? ramp(options) : oneRun(options));
    if (!passed) process.exitCode = EXIT_FAILED;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    // Not by exitCode: what the run still waits for must not hold the process.
    process.exit(EXIT_NO_RUN);
  }
}

await main();
