import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/**
 * Notes which test saw which row of the protocol end in what (`scripts/test.mjs` makes the table of it). One file a
 * process, one JSON line for the first test that sees an outcome.
 */
const directory = process.env.PARLEY_CONTRACT_RECORD;
const seen = new Set<string>();

/** @param outcome a status of success, an answer's type, or an error's code */
export function recordOutcome(row: string, outcome: string): void {
  if (directory === undefined) return;
  const { currentTestName, testPath } = expect.getState();
  const key = `${row}\n${outcome}`;
  if (seen.has(key) || currentTestName === undefined || testPath === undefined) return;
  seen.add(key);
  mkdirSync(directory, { recursive: true });
  const file = testPath.slice(testPath.lastIndexOf('/test/') + 1);
  const line = JSON.stringify({ row, outcome, test: `${file}: ${currentTestName}` });
  appendFileSync(join(directory, `${process.pid}.jsonl`), `${line}\n`);
}
