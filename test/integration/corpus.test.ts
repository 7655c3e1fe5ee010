import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FuzzCase } from '../../bench/fuzz/cases.js';
import { fuzz } from '../../bench/fuzz/round.js';
import { openTarget, type Target } from '../../bench/fuzz/target.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

/** What `npm run fuzz` finds goes to test/corpus and stays there, beside cases written by hand. */
const CORPUS = 'test/corpus';
const SMOKE_MS = 20_000; // enough for every route and frame some times
const SEED = 7_2026; // a failure comes back

let server: Server;
let target: Target;

beforeAll(async () => {
  server = await startServerWithDatabase();
  target = await openTarget(server.url);
});
afterAll(() => target.close());

const errors = (): readonly unknown[] =>
  server.log().filter(({ level }) => level === 'error' || level === 'fatal');

describe('the corpus', () => {
  const cases = readdirSync(CORPUS).filter((name) => name.endsWith('.json'));

  test.each(cases)('%s', async (name) => {
    const fuzzCase = JSON.parse(readFileSync(`${CORPUS}/${name}`, 'utf8')) as FuzzCase;
    expect(await target.run(fuzzCase)).toBeNull();
    expect(await target.alive()).toBe(true);
    expect(errors()).toEqual([]);
  });
});

test('no request or frame makes the server fail, fall silent or tell of its inside', {
  timeout: 60_000,
}, async () => {
  const { cases, findings } = await fuzz(target, { forMs: SMOKE_MS, seed: SEED });
  expect(findings).toEqual([]);
  expect(errors()).toEqual([]);
  expect(cases).toBeGreaterThan(0);
});
