import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { Gauge, Histogram, Registry } from 'prom-client';
import type { ThreadFigures } from '../ipc/messages.js';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import { QUANTILES, watchThread } from './thread-figures.js';

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};
const GC_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/** A registry for one thread, with what is the same in every thread: event loop, memory and garbage collection. */
export function threadRegistry(thread: string): Registry {
  const registry = new Registry();
  const registers = [registry];
  registerFigures(registry, thread, watchThread());
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

/**
 * What a thread that has no registry of its own has told, as a registry would give it: prom-client takes 9 MB of every
 * thread that loads it.
 */
export function metricsOf(
  labels: { readonly process: string; readonly thread: string },
  figures: ThreadFigures,
): Promise<ThreadMetrics> {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  registerFigures(registry, labels.thread, () => figures);
  return registry.getMetricsAsJSON();
}

function registerFigures(registry: Registry, thread: string, read: () => ThreadFigures): void {
  const registers = [registry];
  new Gauge({
    name: 'parley_event_loop_lag_seconds',
    help: 'How late timers fire in a thread, by quantile: of the last 15 seconds the worst.',
    labelNames: ['thread', 'quantile'],
    registers,
    collect() {
      const { late } = read();
      for (const [i, quantile] of QUANTILES.entries()) this.set({ thread, quantile }, late[i] ?? 0);
    },
  });
  new Gauge({
    name: 'parley_event_loop_utilization_ratio',
    help: 'Share of the last 15 seconds that a thread was busy, 0–1.',
    labelNames: ['thread'],
    registers,
    collect() {
      this.set({ thread }, read().utilization);
    },
  });
  new Gauge({
    name: 'parley_heap_used_bytes',
    help: 'JavaScript heap in use by a thread.',
    labelNames: ['thread'],
    registers,
    collect() {
      this.set({ thread }, read().heapUsed);
    },
  });
}
