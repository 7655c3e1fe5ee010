import {
  constants,
  type EventLoopUtilization,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks';
import { Gauge, Histogram, Registry } from 'prom-client';

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};
const GC_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const DELAY_RESOLUTION_MS = 10;
const QUANTILES = [
  ['p50', 50],
  ['p99', 99],
  ['max', 100],
] as const;

/**
 * Threads are sampled by a timer, and a scrape reads the samples: whoever else scrapes (the status page, curl) shortens
 * nobody's window.
 */
const SAMPLE_EVERY_MS = 1_000;
const SAMPLES = 15; // seconds, as long as any usual interval of scrapes: no second goes unseen

interface Sample {
  /** Seconds that timers were late, as QUANTILES. */
  readonly late: readonly number[];
  /** At its end. */
  readonly utilization: EventLoopUtilization;
}

/** A registry for one thread, with what is the same in every thread: event loop, memory and garbage collection. */
export function threadRegistry(thread: string): Registry {
  const registry = new Registry();
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const begun: Sample = { late: QUANTILES.map(() => 0), utilization: performance.eventLoopUtilization() };
  const samples = [begun]; // the first is where the window begins
  setInterval(() => {
    const late = QUANTILES.map(([, percent]) =>
      Math.max(0, delay.percentile(percent) / 1e9 - DELAY_RESOLUTION_MS / 1e3),
    );
    delay.reset();
    samples.push({ late, utilization: performance.eventLoopUtilization() });
    if (samples.length > SAMPLES + 1) samples.shift();
  }, SAMPLE_EVERY_MS).unref();

  new Gauge({
    name: 'parley_event_loop_lag_seconds',
    help: 'How late timers fire in a thread, by quantile: of the last 15 seconds the worst.',
    labelNames: ['thread', 'quantile'],
    registers,
    collect() {
      const window = samples.length > 1 ? samples.slice(1) : samples;
      for (const [i, [quantile]] of QUANTILES.entries())
        this.set({ thread, quantile }, Math.max(...window.map(({ late }) => late[i] ?? 0)));
    },
  });
  new Gauge({
    name: 'parley_event_loop_utilization_ratio',
    help: 'Share of the last 15 seconds that a thread was busy, 0–1.',
    labelNames: ['thread'],
    registers,
    collect() {
      const [from = begun] = samples;
      const { utilization: to } = samples.at(-1) ?? begun;
      this.set({ thread }, performance.eventLoopUtilization(to, from.utilization).utilization || 0);
    },
  });
  new Gauge({
    name: 'parley_heap_used_bytes',
    help: 'JavaScript heap in use by a thread.',
    labelNames: ['thread'],
    registers,
    collect() {
      this.set({ thread }, process.memoryUsage().heapUsed);
    },
  });
  const gc = new Histogram({
    name: 'parley_gc_seconds',
    help: 'Garbage collections by thread and kind.',
    labelNames: ['thread', 'kind'],
    buckets: GC_BUCKETS,
    registers,
  });
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { detail: { kind: number } }).detail;
      gc.observe({ thread, kind: GC_KINDS[kind] ?? 'other' }, entry.duration / 1e3);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return registry;
}
