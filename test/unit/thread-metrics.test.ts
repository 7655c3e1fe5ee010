import { performance } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { threadRegistry } from '../../src/observability/thread-metrics.js';

const SECONDS_KEPT = 15; // src/observability/thread-figures.ts

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }));
afterEach(() => void vi.useRealTimers());

/** Label → value of a gauge. */
async function scraped(registry: Registry, name: string, label: string): Promise<Record<string, number>> {
  const figures = await registry.getMetricsAsJSON();
  const values = figures.find((figure) => figure.name === name)?.values ?? [];
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels[label]), value]));
}

async function figures(registry: Registry) {
  return {
    lag: await scraped(registry, 'parley_event_loop_lag_seconds', 'quantile'),
    busy: await scraped(registry, 'parley_event_loop_utilization_ratio', 'thread'),
  };
}

/** The thread is busy, and its timers are late. */
async function work(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20)); // a timer is measured from the one before
  const until = performance.now() + 100;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a scrape takes nothing away from the next one', async () => {
  const registry = threadRegistry('of-the-test');
  await work();
  vi.advanceTimersByTime(1_000);
  const first = await figures(registry);
  expect(first.lag.max).toBeGreaterThan(0);
  expect(first.busy['of-the-test']).toBeGreaterThan(0);
  expect(await figures(registry)).toEqual(first);
  expect(await figures(registry)).toEqual(first);
});

test('a late second is shown for as long as scrapes are apart, and then no more', async () => {
  const registry = threadRegistry('of-the-test');
  await work();
  vi.advanceTimersByTime(1_000);
  const { lag } = await figures(registry);
  vi.advanceTimersByTime((SECONDS_KEPT - 1) * 1_000);
  expect((await figures(registry)).lag.max).toBe(lag.max);
  vi.advanceTimersByTime(1_000);
  expect((await figures(registry)).lag.max).toBeLessThan(lag.max ?? 0);
});

test('before the first second has passed there are figures too', async () => {
  const { lag, busy } = await figures(threadRegistry('of-the-test'));
  expect(lag).toEqual({ p50: 0, p99: 0, max: 0 });
  expect(busy).toEqual({ 'of-the-test': 0 });
});
