import { describe, expect, it } from 'vitest';
import { type Figures, formatOutcomes, judge } from '../../bench/autocannon/outcome.js';
import { API_MARKS, type Suite, suitesOf } from '../../bench/autocannon/suites.js';
import { ratioOf } from '../../bench/compare/comparison.js';
import { parseCompareOptions } from '../../bench/compare/options.js';
import { DEFAULT_SYSTEMS, orderOfRound, SYSTEMS } from '../../bench/compare/systems.js';
import { formatComparison } from '../../bench/compare/table.js';
import { startWalk } from '../../bench/k6/scripts/walk.js';
import { formatSummary, readSummary } from '../../bench/k6/summary-table.js';
import { spreadOf } from '../../bench/load/spread.js';
import { UsageError } from '../../bench/load/usage.js';

describe('a comparison', () => {
  it('tells the median and the range of the rounds', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 });
    expect(spreadOf([4, 1])).toEqual({ median: 2.5, min: 1, max: 4, count: 2 });
    expect(spreadOf([])).toBeUndefined();
  });

  it('takes ratios within a round, and leaves out rounds in which a side is missing', () => {
    const one = [10, 20, undefined, 40];
    const other = [5, 5, 5, 0];
    expect(
      ratioOf(
        4,
        (round) => one[round],
        (round) => other[round],
      ),
    ).toEqual({ median: 3, min: 2, max: 4, count: 2 });
  });

  it('begins each round with another system', () => {
    const firsts = [0, 1, 2, 3, 4].map((round) => orderOfRound(DEFAULT_SYSTEMS, round)[0]?.name);
    expect(firsts).toEqual(['parley', 'bare', 'socketio-insert', 'socketio-redis', 'parley']);
    expect(orderOfRound(SYSTEMS, 2)).toHaveLength(SYSTEMS.length);
  });

  it('prints n/a for a run that could not be made', () => {
    const text = formatComparison(
      {
        fixed: [
          { round: 0, system: 'bare', rate: 100, keptUp: false, loaderBound: false, result: undefined },
        ],
        found: [
          { round: 0, system: 'parley', highest: 600, loaderBound: false },
          { round: 0, system: 'bare', highest: 800, loaderBound: true },
        ],
      },
      { systems: ['parley', 'bare'], rates: [100], rounds: 1, p99LimitMs: 100 },
    );
    expect(text).toMatch(/bare( +n\/a){5} +0 of 1/);
    expect(text).toMatch(/bare +800 \(800–800\) +1 loader-bound/);
    expect(text).toMatch(/parley \/ bare +0\.75 \(0\.75–0\.75\) +n\/a/);
  });

  it('hands the load on, and says what is wrong with an option', () => {
    const options = parseCompareOptions(['--connections', '50', '--rooms', '5', '--rates', '', '--no-ramp']);
    expect(options).toMatchObject({ rates: [], rampFrom: undefined, load: { connections: 50, rooms: 5 } });
    expect(options?.systems.map((system) => system.name)).toEqual([
      'parley',
      'bare',
      'socketio-insert',
      'socketio-redis',
    ]);
    const peers = parseCompareOptions(['--systems', 'parley,centrifugo,tinode'])?.systems;
    expect(peers?.map(({ dialect, isOrdered }) => [dialect, isOrdered])).toEqual([
      ['parley', true],
      ['centrifugo', true],
      ['tinode', true],
    ]);
    for (const argv of [
      ['--systems', 'ably'],
      ['--rates', 'x'],
      ['--rounds', '0'],
      ['--rooms', '2000'],
    ]) {
      expect(() => parseCompareOptions(argv), argv.join(' ')).toThrow(UsageError);
    }
  });
});

describe('the marks of a REST suite', () => {
  const suite: Suite = {
    name: 'history',
    requests: [{ method: 'GET', path: '/rooms', body: undefined }],
    token: undefined,
    rate: 100,
    connections: 1,
    marks: API_MARKS,
  };
  const fine: Figures = {
    requests: 1_000,
    rate: 100,
    p50: 49,
    p90: 90,
    p99: 199,
    max: 999,
    errors: 0,
    not2xx: 0,
    refusals: {},
  };

  it('are met just below them', () => {
    expect(judge(suite, fine)).toMatchObject({ verdict: 'met', misses: [] });
  });

  it('are missed by a slow answer, a failed one, or fewer than were offered', () => {
    const worse: Partial<Figures>[] = [
      { p50: 50 },
      { p99: 200 },
      { errors: 1 },
      { not2xx: 1, refusals: { 503: 1 } },
      { rate: 94 },
      { requests: 0 },
    ];
    for (const change of worse) {
      const outcome = judge(suite, { ...fine, ...change });
      expect(outcome.verdict, JSON.stringify(change)).toBe('missed');
      expect(outcome.misses).toHaveLength(1);
      expect(formatOutcomes([outcome])).toContain(outcome.misses[0]);
    }
  });

  it('are not asked of a route that the server lacks, which is told', () => {
    expect(judge(suite, undefined).verdict).toBe('absent');
    expect(formatOutcomes([judge(suite, undefined)])).toMatch(/history.*n\/a.*absent/);
  });
});

describe('the suites', () => {
  it('give each client a whole number of requests a second, and hardly change the rate for it', () => {
    const scene = { token: '', email: '', password: '', roomIds: ['room'] };
    for (const load of [0.001, 0.1, 0.5, 1, 1.3, 7, 100]) {
      for (const { name, rate, connections } of Object.values(suitesOf(scene, load))) {
        expect(connections, name).toBeGreaterThan(0);
        expect(connections, name).toBeLessThanOrEqual(100);
        expect(Number.isInteger(rate / connections) && rate >= connections, `${name} at ${load}`).toBe(true);
      }
    }
    expect(suitesOf(scene, 1).mixed).toMatchObject({ rate: 1_000, connections: 100 });
    expect(suitesOf(scene, 1).login).toMatchObject({ rate: 10, connections: 10 });
  });
});

describe('the k6 scripts', () => {
  it('tell by a room’s numbers what is missing, late or repeated', () => {
    const walk = startWalk(10);
    expect([11, 14, 12, 12, 14, 15, 9].map(walk.arrive)).toEqual([
      'next',
      'ahead',
      'late',
      'repeated',
      'repeated',
      'next',
      'repeated',
    ]);
    expect(walk.missing()).toBe(1);
  });

  it('have a summary that says which marks were missed', () => {
    const rows = readSummary({
      metrics: {
        delivery_latency: {
          type: 'trend',
          values: { med: 3, 'p(99)': 120, count: 5 },
          thresholds: { 'p(99)<100': { ok: false } },
        },
        messages_lost: {
          type: 'counter',
          values: { count: 0, rate: 0 },
          thresholds: { 'count==0': { ok: true } },
        },
        vus: { type: 'gauge', values: { value: 7 } },
      },
    });
    expect(rows.map(({ name, passed }) => [name, passed])).toEqual([
      ['delivery_latency', false],
      ['messages_lost', true],
      ['vus', undefined],
    ]);
    const text = formatSummary(rows);
    expect(text).toMatch(/delivery_latency .*120 .*MISSED/);
    expect(text).toMatch(/messages_lost .*met/);
  });
});
