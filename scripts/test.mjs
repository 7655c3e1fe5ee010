/**
 * `npm test [-- FILTER… OPTION…]`: builds if needed, runs vitest with the arguments, names every skipped test with
 * its reason, and ends with the line `N passed, N failed, N skipped`. The exit code is vitest's.
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCLI, startVitest } from 'vitest/node';
import { build, root } from './build.mjs';

process.chdir(root);
await build();

const record = join(tmpdir(), `parley-contract-${process.pid}`);
process.env.PARLEY_CONTRACT_RECORD = record;
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const skipped = [];
let passed = 0;
let failed = 0;

/** Counts tests; a file or suite that fails outside of its tests (an import, a hook) counts as one failure. */
const counter = {
  onTestCaseResult(test) {
    const result = test.result();
    if (result.state === 'passed') passed += 1;
    else if (result.state === 'failed') failed += 1;
    else if (result.state === 'skipped') skipped.push({ test, reason: result.note });
  },
  onTestSuiteResult(suite) {
    failed += suite.errors().length;
  },
  onTestModuleEnd(module) {
    failed += module.errors().length;
  },
  onTestRunEnd(_modules, unhandledErrors) {
    failed += unhandledErrors.length;
  },
};

const vitest = await startVitest('test', filter, {
  ...options,
  watch: false,
  reporters: [...[options.reporters ?? options.reporter ?? 'default'].flat(), counter],
});
await vitest.close();

// A whole run must have seen every row of the protocol succeed, and be refused where it can be.
if (filter.length === 0 && options.testNamePattern === undefined && failed === 0) {
  const { checkContract } = await import('../dist/scripts/contract-docs.js');
  for (const row of checkContract(record)) {
    console.log(`no test: ${row}`);
    failed += 1;
  }
}
rmSync(record, { recursive: true, force: true });

for (const { test, reason } of skipped) {
  console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${reason ?? 'no reason given'}`);
}
if (failed > 0 && !process.exitCode) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
