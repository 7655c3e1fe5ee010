import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onPath } from '../../bench/load/go-binary.js';
import type { LoadResult } from '../../bench/load/result.js';
import { runBench } from '../helpers/bench.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

const SMALL = ['--connections', '30', '--rooms', '3', '--rate', '100', '--warmup', '0.2', '--seconds', '1.5'];

/** A run of the load bench, and its result once nothing was wrong with it. */
async function loadResult(...args: readonly string[]): Promise<LoadResult> {
  const run = await runBench('load', ...SMALL, ...args);
  expect(run.code, run.output).toBe(0);
  expect(await run.file('report.html')).toContain('<svg');
  expect(await run.file('delivery.hgrm')).toContain('Percentile');
  return JSON.parse(await run.file('result.json')) as LoadResult;
}

describe('the benches at a tiny scale', () => {
  let database: TestDatabase;
  let server: readonly string[];
  beforeAll(async () => {
    database = await createTestDatabase();
    server = ['--database-url', database.url];
  });
  afterAll(() => database.drop());

  it('deliver every message to sockets that are cut and come back', async () => {
    const { totals, resume } = await loadResult('--jitter', '20', '--encoding', 'mixed', ...server);
    expect(totals.reconnects).toBeGreaterThan(0);
    expect(resume.count).toBeGreaterThan(0);
    expect(totals).toMatchObject({ lost: 0, expected: totals.sent * 10, acked: totals.sent });
  });

  it('bring all sockets back when all are cut at once', async () => {
    const { totals, resume } = await loadResult('--storm', '--shape', 'zipf', '--processes', '2', ...server);
    expect(resume.count).toBe(30);
    expect(totals).toMatchObject({ lost: 0, acked: totals.sent });
  });

  it('deliver everything to slow readers once they read again', async () => {
    const { totals, late } = await loadResult('--slow-readers', '3', ...server);
    expect(late.count).toBeGreaterThan(0);
    expect(totals).toMatchObject({ lost: 0, expected: totals.sent * 10 });
  });

  it('tell the memory of sockets that idle', async () => {
    const { serverMemory, totals } = await loadResult('--idle', ...server);
    expect(totals.sent).toBe(0);
    expect(serverMemory?.settledBytes).toBeGreaterThan(0);
  });

  it('compare with baselines that the same loader reads without parsing', async () => {
    const redis = onPath('redis-server', process.env.PATH ?? '') === undefined ? [] : ['socketio-redis'];
    const systems = ['bare', 'socketio-insert', ...redis];
    const load = [
      '--connections',
      '20',
      '--rooms',
      '2',
      '--seconds',
      '1',
      '--warmup',
      '0.2',
      '--rates',
      '50',
    ];
    const run = await runBench(
      'compare',
      ...load,
      '--rounds',
      '1',
      '--no-ramp',
      '--systems',
      systems.join(','),
    );
    expect(run.code, run.output).toBe(0);
    const { fixed } = JSON.parse(await run.file('compare.json')) as {
      fixed: { system: string; result: LoadResult }[];
    };
    expect(fixed.map(({ system }) => system)).toEqual(systems);
    for (const { system, result } of fixed) {
      expect(result.faults, system).toEqual([]);
      expect(result.totals, system).toMatchObject({ lost: 0, parsed: 0, expected: result.totals.sent * 10 });
    }
  });

  it('ask the REST routes at their rate, and exit by the marks', async () => {
    const scene = ['--rooms', '2', '--messages', '5', '--seconds', '1', '--warmup', '0', '--load', '0.1'];
    const run = await runBench('autocannon', ...scene, ...server);
    const { outcomes } = JSON.parse(await run.file('rest.json')) as {
      outcomes: { suite: string; verdict: string; figures?: { requests: number; not2xx: number } }[];
    };
    expect(outcomes.map(({ suite }) => suite)).toEqual([
      'health',
      'history',
      'send',
      'search',
      'login',
      'mixed',
    ]);
    for (const { suite, figures, verdict } of outcomes) {
      if (verdict === 'absent') continue;
      expect(figures?.requests, suite).toBeGreaterThan(0);
      expect(figures?.not2xx, suite).toBe(0);
    }
    expect(run.code, run.output).toBe(outcomes.some(({ verdict }) => verdict === 'missed') ? 1 : 0);
  });

  it('tell how statements on the path are run, each by an index', async () => {
    const run = await runBench('curves', '--axis', 'rows', '--rows', '50000', '--times', '2', '--plans');
    expect(run.code, run.output).toBe(0);
    const plans = await run.file('plans-50000.txt');
    for (const part of plans.split(/\n(?=[^\n]+\n=+\n)/)) {
      expect(part).toMatch(/\(actual time=.* rows=/);
      expect(part).toMatch(/Buffers: shared hit=/);
      expect(part).not.toContain('Seq Scan');
    }
    expect(plans).toMatch(/^insert of 100\n=+\n/);
    expect(plans).toMatch(/Index Scan Backward using messages_room_seq_key/);
  });

  it('tell what metrics cost, by turns and against a server that has none', { timeout: 90_000 }, async () => {
    const load = ['--connections', '20', '--rooms', '2', '--seconds', '1', '--warmup', '0.2', '--drain', '5'];
    const rates = ['--rate', '50', '--saturating-rate', '0', '--rounds', '1', '--turn-seconds', '20'];
    const run = await runBench('metrics-cost', ...load, ...rates, ...server);
    expect(run.code, run.output).toBe(0);
    const { runs } = JSON.parse(await run.file('metrics-cost.json')) as {
      runs: { variant: string; result: LoadResult }[];
    };
    expect(runs.map(({ variant }) => variant)).toEqual(['metered', 'unmetered']);
    for (const { variant, result } of runs) expect(result.totals, variant).toMatchObject({ lost: 0 });
    const told = await run.file('metrics-cost.txt');
    expect(told).toMatch(/on, off, off, on; \d.*\n {2}cost, % +-?\d+\.\d\d ± \d/);
    expect(told).toMatch(/without .*\n {2}cost, % +-?\d/);
  });

  it('say what is wrong with their options, and exit 64', async () => {
    for (const bench of ['load', 'compare', 'autocannon', 'k6', 'metrics-cost']) {
      const run = await runBench(bench, '--nonsense');
      expect(run.code, bench).toBe(64);
      expect(run.output, bench).toContain('--help');
    }
  });
});
