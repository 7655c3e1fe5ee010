/**
 * Runs a k6 script against a server of its own: `npm run bench:k6 -- --help`. Exit codes: k6's (0 all marks met, 99 a mark missed),
 * 2 the run couldn't be made, 64 a mistake on the command line.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resultsDirectory } from '../load/result-files.js';
import { type ServerProcess, startServer } from '../load/server-process.js';
import { say } from '../load/terminal.js';
import { oneOf, real, UsageError, whole } from '../load/usage.js';
import { findK6 } from './k6-binary.js';
import { formatSummary, readSummary } from './summary-table.js';

const SCRIPTS = ['ws-chat', 'rest-history', 'mixed', 'connect-storm', 'soak'] as const;

const USAGE = `npm run bench:k6 -- --script NAME [options]

  --script NAME    ${SCRIPTS.join(' | ')}
  --vus N          virtual users, each with an account (and a socket) of its own (50)
  --rooms N        rooms that they go round (10)
  --rate N         messages a second of each user; with rest-history, readers a second (1)
  --seconds N      (30; soak: 1800)
  --url URL        a running server (default: start dist/src/main.js with limits off and cheap password hashes)
  --database-url U given to the server it starts as DATABASE_URL
  --out OUTPUT     k6's -o, again for each output, e.g. experimental-prometheus-rw or json=raw.json
  --results DIR    summary.json (default: a new directory in bench/results; none: no files)
  --help

k6 is looked for as K6 (environment), on PATH, in ~/.cache/parley; else it is built there with Go.`;

const EXIT_NO_RUN = 2;
/** sysexits.h EX_USAGE */
const EXIT_USAGE = 64;

interface K6Options {
  readonly script: (typeof SCRIPTS)[number];
  readonly settings: Readonly<Record<'VUS' | 'ROOMS' | 'RATE' | 'SECONDS', string>>;
  readonly url: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly outputs: readonly string[];
  readonly results: string | undefined;
}

function parseOptions(argv: readonly string[]): K6Options | undefined {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      script: { type: 'string' },
      vus: text('50'),
      rooms: text('10'),
      rate: text('1'),
      seconds: { type: 'string' },
      url: { type: 'string' },
      'database-url': { type: 'string' },
      out: { type: 'string', multiple: true, default: [] },
      results: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const script = oneOf('script', values.script ?? '', SCRIPTS);
  const vus = whole('vus', values.vus, 1, 100_000);
  return {
    script,
    settings: {
      VUS: String(vus),
      ROOMS: String(whole('rooms', values.rooms, 1, vus)),
      RATE: String(real('rate', values.rate, 0, 100_000)),
      SECONDS: String(whole('seconds', values.seconds ?? (script === 'soak' ? '1800' : '30'), 4, 7 * 86_400)),
    },
    url: values.url,
    databaseUrl: values['database-url'],
    outputs: values.out,
    results: values.results,
  };
}

/** @returns k6's exit code. */
async function runK6(options: K6Options, k6: string, origin: string, summaryFile: string): Promise<number> {
  const script = fileURLToPath(new URL(`./scripts/${options.script}.js`, import.meta.url));
  const settings = { ...options.settings, BASE_URL: origin, SUMMARY_FILE: summaryFile };
  const child = spawn(
    k6,
    [
      'run',
      '--no-usage-report',
      ...(process.stderr.isTTY ? [] : ['--quiet']),
      ...options.outputs.flatMap((output) => ['--out', output]),
      ...Object.entries(settings).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
      script,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? EXIT_NO_RUN));
  });
}

async function run(options: K6Options): Promise<number> {
  const k6 = findK6(say);
  const scratch = mkdtempSync(join(tmpdir(), 'parley-k6-'));
  const directory = resultsDirectory(options.results, `k6-${options.script}`);
  const summaryFile = join(directory ?? scratch, 'summary.json');
  let server: ServerProcess | undefined;
  try {
    if (options.url === undefined) server = await startServer(options.databaseUrl);
    const origin = server?.origin ?? new URL(options.url ?? '').origin;
    say(`${k6} runs ${options.script} on ${origin}`);
    const code = await runK6(options, k6, origin, summaryFile);
    console.log(`\n${formatSummary(readSummary(JSON.parse(readFileSync(summaryFile, 'utf8'))))}`);
    if (directory !== undefined) console.log(`\nfiles in ${directory}`);
    return code;
  } finally {
    await server?.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) console.log(USAGE);
    else process.exitCode = await run(options);
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof TypeError;
    console.error(error instanceof Error ? error.message : error);
    if (isUsage) console.error(`\n${USAGE}`);
    process.exitCode = isUsage ? EXIT_USAGE : EXIT_NO_RUN;
  }
}

await main();
