import { describe, expect, it } from 'vitest';
import { createFaults } from '../../bench/load/faults.js';
import { runPage } from '../../bench/load/html-report.js';
import { createLatencyRecorder } from '../../bench/load/latency.js';
import type { LoaderReport } from '../../bench/load/messages.js';
import { type LoadOptions, parseOptions } from '../../bench/load/options.js';
import { isLoaderBound, keptUp } from '../../bench/load/ramp.js';
import { formatReport } from '../../bench/load/report.js';
import { mergeReports, type RunFacts } from '../../bench/load/result.js';

function optionsWith(...argv: string[]): LoadOptions {
  const options = parseOptions(['--seconds', '2', ...argv]);
  if (options === undefined) throw new Error('help was asked for');
  return options;
}

function facts(options = optionsWith()): RunFacts {
  return {
    startedAt: '2024-11-24T00:00:00.000Z',
    options,
    machine: {
      cpu: 'x',
      cores: 2,
      memoryBytes: 1,
      system: 'Linux',
      node: 'v20',
      postgres: undefined,
      commit: undefined,
    },
    usage: { server: undefined, threads: [], postgres: undefined, machine: undefined },
    serverMemory: undefined,
    server: { exit: '0', warnings: 0 },
  };
}

function report(loader: number, micros: readonly number[], more: Partial<LoaderReport> = {}): LoaderReport {
  const recorder = createLatencyRecorder();
  for (const value of micros) recorder.record(value);
  const encoded = recorder.encoded();
  return {
    loader,
    sent: 10,
    acked: 10,
    refused: 0,
    sentInWindow: 10,
    ackedInWindow: 10,
    deliveredInWindow: 100,
    checks: { deliveries: 100, healed: 0, overlaps: 0 },
    expected: 100,
    lost: 0,
    resyncs: 0,
    reconnects: 0,
    failedReconnects: 0,
    refusedResumes: 0,
    errorCodes: {},
    otherFrames: {},
    scanned: 110,
    parsed: 0,
    faults: [],
    ackLatency: encoded,
    deliveryLatency: encoded,
    sendLag: encoded,
    lateLatency: createLatencyRecorder().encoded(),
    resumeTime: createLatencyRecorder().encoded(),
    timeline: { slotSeconds: 1, slots: [] },
    cpuCores: 0.5,
    maxLoopDelayMs: 1,
    rssBytes: 1,
    ...more,
  };
}

describe("a load run's result", () => {
  it('merges the latencies of all loaders before taking percentiles', () => {
    const fast = Array.from({ length: 99 }, () => 1_000);
    const { result } = mergeReports([report(0, fast), report(1, [50_000])], facts());
    expect(result.ack.count).toBe(100);
    expect(result.ack.p50).toBeCloseTo(1, 2);
    expect(result.ack.p99).toBeCloseTo(1, 2);
    expect(result.ack.max).toBeCloseTo(50, 1);
    expect(result.rates).toEqual({ offered: 2_000, sent: 10, acked: 10, delivered: 100 });
    expect(result.verdict).toBe('passed');
  });

  it('keeps latencies beyond the range as the highest value', () => {
    expect(mergeReports([report(0, [1e12])], facts()).result.ack.max).toBeGreaterThan(599_000);
  });

  it('calls refusals for want of capacity over capacity, unless that is allowed', () => {
    const refused = [report(0, [1], { errorCodes: { overloaded: 3, unavailable: 1 } })];
    expect(mergeReports(refused, facts()).result.verdict).toBe('over_capacity');
    expect(mergeReports(refused, facts(optionsWith('--allow-overload'))).result.verdict).toBe('passed');
  });

  it('fails on any other refusal, on any fault and on a server that ends badly', () => {
    const other = [report(0, [1], { errorCodes: { rate_limited: 3 } })];
    expect(mergeReports(other, facts()).result.verdict).toBe('failed');
    const faults = createFaults();
    faults.add('lost', () => 'socket 1');
    const lossy = [report(0, [1], { faults: faults.summaries() })];
    expect(mergeReports(lossy, facts(optionsWith('--allow-overload'))).result.verdict).toBe('failed');
    const crashed = mergeReports([report(0, [1])], { ...facts(), server: { exit: 'SIGSEGV', warnings: 0 } });
    expect(crashed.result.verdict).toBe('failed');
    expect(formatReport(crashed.result)).toContain('SIGSEGV');
  });

  it('says n/a where there is nothing to tell', () => {
    const text = formatReport(mergeReports([report(0, [])], facts()).result);
    expect(text).toMatch(/acknowledgement\s+n\/a/);
    expect(text).toMatch(/postgres\s+n\/a/);
  });

  it('tells what share of the messages arrived', () => {
    const text = formatReport(mergeReports([report(0, [1], { expected: 200, lost: 1 })], facts()).result);
    expect(text).toContain('199 of 200 (99.500000 %)');
  });

  it('is a page that loads nothing and runs nothing', () => {
    const html = runPage(mergeReports([report(0, [1_000, 2_000])], facts()));
    expect(html).not.toMatch(/<script|<link|<img|@import|url\(|https?:\/\/|\son[a-z]+=/i);
    expect(html.match(/<svg /g)).toHaveLength(4);
    expect(html).toContain('p99.9');
  });
});

describe('the verdict on a rate', () => {
  const atRate = (rate: string) => facts(optionsWith('--rate', rate));
  const kept = (rate: string, micros: number, more: Partial<LoaderReport> = {}, order = true) =>
    keptUp(mergeReports([report(0, [micros], more)], atRate(rate)).result, order);

  it('asks for p99 below the limit and for the whole rate', () => {
    expect(kept('5', 50_000)).toBe(true);
    expect(kept('5', 150_000)).toBe(false);
    expect(kept('20', 50_000)).toBe(false);
    expect(kept('5', 50_000, { ackedInWindow: 2 })).toBe(false);
    expect(kept('5', 50_000, { errorCodes: { overloaded: 1 } })).toBe(false);
  });

  it('forgives a baseline its order, never its losses', () => {
    const misordered = createFaults();
    misordered.add('misordered', () => 'socket 1');
    const lost = createFaults();
    lost.add('lost', () => 'socket 1');
    expect(kept('5', 50_000, { faults: misordered.summaries() })).toBe(false);
    expect(kept('5', 50_000, { faults: misordered.summaries() }, false)).toBe(true);
    expect(kept('5', 50_000, { faults: lost.summaries() }, false)).toBe(false);
  });

  it('tells when the loader was the bottleneck', () => {
    const lag = (micros: number) => {
      const recorder = createLatencyRecorder();
      recorder.record(micros);
      return { sendLag: recorder.encoded() };
    };
    const bound = (micros: number) =>
      isLoaderBound(mergeReports([report(0, [10_000], lag(micros))], facts()).result);
    expect(bound(1_000)).toBe(false);
    expect(bound(8_000)).toBe(true);
  });
});
