/**
 * The open-loop load generator: `npm run bench:load -- --help`. Exit codes: 0 passed, 1 failed checks or over capacity,
 * 2 the run couldn't be made or finished (set-up refused, server or loader died), 64 a mistake on the command line.
 */
import { type LoadOptions, parseOptions, UsageError, usage } from './options.js';
import { formatReport } from './report.js';
import { runLoad } from './run.js';

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

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  try {
    const { result } = await runLoad(options, (text) => console.error(text));
    console.log(`\n${formatReport(result)}`);
    if (result.verdict !== 'passed') process.exitCode = EXIT_FAILED;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    // Not by exitCode: what the run still waits for must not hold the process.
    process.exit(EXIT_NO_RUN);
  }
}

await main();
