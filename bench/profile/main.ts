/**
 * Where does the server's time go under load, and how much of it is its own metrics?
 * `npm run bench:profile -- [options of bench:load]`. Prints the functions of each thread by their own time; the profiles stay
 * in a directory for Chrome's or VS Code's viewers (flame graphs).
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LoadOptions, parseOptions, usage } from '../load/options.js';
import { resultsDirectory } from '../load/result-files.js';
import { runLoad } from '../load/run.js';
import { say } from '../load/terminal.js';
import { type CpuProfile, readProfile } from './profile.js';

async function profileOf(options: LoadOptions): Promise<void> {
  const directory = resolve(resultsDirectory(undefined, 'profile') ?? '.');
  mkdirSync(directory, { recursive: true });
  process.env.PROFILE_DIR = directory;
  const serverEntry = fileURLToPath(new URL('./server.js', import.meta.url));
  const { result } = await runLoad({ ...options, serverEntry }, say);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  let [busy, metrics] = [0, 0];
  for (const file of readdirSync(directory).sort()) {
    const profile = readProfile(JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile);
    if (profile === null) continue;
    busy += profile.busyMs;
    metrics += profile.busyMs * profile.metricsShare;
    console.log(
      `\n${profile.thread}: busy ${Math.round(profile.busyMs)} ms, metrics ${percent(profile.metricsShare)}`,
    );
    for (const { name, share } of profile.top) console.log(`${percent(share).padStart(8)}  ${name}`);
  }
  console.log(
    `\nall threads: metrics ${percent(metrics / busy)} of ${Math.round(busy)} ms; start and end included`,
  );
  console.log(
    `${Math.round(result.rates.acked)} msg/s acknowledged, ${result.verdict}; profiles in ${directory}`,
  );
}

const options = parseOptions([...process.argv.slice(2), '--results', 'none']);
if (options === undefined) console.log(usage());
else await profileOf(options);
