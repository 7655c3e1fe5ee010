import { performance } from 'node:perf_hooks';

/** Epoch milliseconds with fractions: one clock for all threads of a process, whose monotonic clocks start apart. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Seconds since a time of {@link wallClockMs}, or of another machine's clock; never negative. */
export function secondsSince(ms: number): number {
  return Math.max(0, (wallClockMs() - ms) / 1_000);
}
