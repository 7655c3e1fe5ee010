/**
 * `npm run fuzz -- [--minutes 60] [--seed N]`: throws cases made from the tables of routes and frames at a server of its
 * own. What it finds is written to test/corpus, which the tests replay.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readRss } from './memory.js';
import { type Finding, fuzz } from './round.js';
import { startFuzzedServer } from './server.js';
import { openTarget } from './target.js';

const CORPUS = 'test/corpus';
const REPORT_EVERY_MS = 60_000;
const SEEDS_PER_LANE = 10_000; // more rounds than a lane runs between two reports
const LANES = 12; // cases under way at once: most of a case is waiting

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 60);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const server = await startFuzzedServer();
const targets = await Promise.all(Array.from({ length: LANES }, () => openTarget(server.origin)));
const rssAtStart = readRss(server.pid);
console.log(`seed ${seed}, ${minutes} minutes, server ${server.pid}`);

function keep({ fuzzCase, wrong }: Finding): void {
  const name = createHash('sha256').update(fuzzCase.data).digest('hex').slice(0, 12);
  mkdirSync(CORPUS, { recursive: true });
  const file = join(CORPUS, `${fuzzCase.kind}-${name}.json`);
  writeFileSync(file, `${JSON.stringify({ ...fuzzCase, wrong }, null, 2)}\n`);
  console.log(`found: ${wrong}\n  ${file}`);
}

const until = performance.now() + minutes * 60_000;
let cases = 0;
let found = 0;
for (let next = seed; performance.now() < until && server.running(); next += LANES * SEEDS_PER_LANE) {
  const forMs = Math.min(REPORT_EVERY_MS, until - performance.now());
  const results = await Promise.all(
    targets.map((target, lane) => fuzz(target, { forMs, seed: next + lane * SEEDS_PER_LANE, found: keep })),
  );
  for (const result of results) {
    cases += result.cases;
    found += result.findings.length;
  }
  const rss = Math.round(readRss(server.pid) / 2 ** 20);
  console.log(`${cases} cases, ${found} findings, ${server.errors().length} errors logged, ${rss} MiB`);
}
for (const target of targets) target.close();
const errors = server.errors();
const grown = Math.round((readRss(server.pid) - rssAtStart) / 2 ** 20);
const code = await server.stop();
for (const line of errors.slice(0, 20)) console.log(line);
console.log(
  `${cases} cases, ${found} findings, ${errors.length} errors logged, ${grown} MiB grown, exit ${code}`,
);
process.exitCode = found > 0 || errors.length > 0 || code !== 0 ? 1 : 0;
