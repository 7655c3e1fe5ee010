import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rampPage, runPage } from './html-report.js';
import { percentileText } from './latency.js';
import type { LoadOptions } from './options.js';
import type { Search } from './rate-search.js';
import type { MergedRun } from './result.js';

/** Ignored by git. */
const RESULTS = join('bench', 'results');

/** Makes the directory for a bench's files. @returns undefined where no files are wanted. */
export function resultsDirectory(given: string | undefined, bench: string): string | undefined {
  if (given === 'none') return undefined;
  const time = new Date().toISOString().replaceAll(':', '').slice(0, 17);
  const directory = given ?? join(RESULTS, `${time}-${bench}`);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Writes `value` as JSON. */
export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

function writeHistograms(prefix: string, run: MergedRun): void {
  writeFileSync(`${prefix}ack.hgrm`, percentileText(run.ack));
  writeFileSync(`${prefix}delivery.hgrm`, percentileText(run.delivery));
}

/** Writes a run's files. @returns the directory, or undefined where none was wanted. */
export function writeRun(options: LoadOptions, run: MergedRun): string | undefined {
  if (options.jsonFile !== undefined) writeJson(options.jsonFile, run.result);
  if (options.hdrPrefix !== undefined) writeHistograms(`${options.hdrPrefix}-`, run);
  const directory = resultsDirectory(options.resultsDir, 'load');
  if (directory === undefined) return undefined;
  writeJson(join(directory, 'result.json'), run.result);
  writeHistograms(join(directory, '/'), run);
  writeFileSync(join(directory, 'report.html'), runPage(run));
  return directory;
}

/** Writes a search's files: every step's result, histograms of the highest rate. */
export function writeRamp(options: LoadOptions, search: Search<MergedRun | undefined>): string | undefined {
  const steps = search.steps.map(({ rate, passed, outcome }) => ({ rate, passed, result: outcome?.result }));
  const summary = { highest: search.highest, p99LimitMs: options.p99LimitMs, steps };
  if (options.jsonFile !== undefined) writeJson(options.jsonFile, summary);
  const best = search.steps.find((step) => step.rate === search.highest)?.outcome;
  if (options.hdrPrefix !== undefined && best !== undefined) writeHistograms(`${options.hdrPrefix}-`, best);
  const directory = resultsDirectory(options.resultsDir, 'ramp');
  if (directory === undefined) return undefined;
  writeJson(join(directory, 'result.json'), summary);
  if (best !== undefined) writeHistograms(join(directory, '/'), best);
  const runs = search.steps.flatMap((step) => step.outcome ?? []);
  writeFileSync(join(directory, 'report.html'), rampPage(search.highest, runs));
  return directory;
}
