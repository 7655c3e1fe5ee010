import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { ThreadFigures } from '../ipc/messages.js';

const DELAY_RESOLUTION_MS = 20; // a timer wakes the thread so often, busy or not
export const QUANTILES = ['p50', 'p99', 'max'] as const;
const PERCENTS = [50, 99, 100];

/**
 * Threads are sampled by a timer, and a scrape reads the samples: whoever else scrapes (the status page, curl) shortens
 * nobody's window.
 */
const SAMPLE_EVERY_MS = 1_000;
const SAMPLES = 15; // seconds, as long as any usual interval of scrapes: no second goes unseen

interface Sample {
  /** Of one second. */
  readonly late: readonly number[];
  /** At its end. */
  readonly utilization: EventLoopUtilization;
}

/** Watches the calling thread from now on. @returns what reads its figures */
export function watchThread(): () => ThreadFigures {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const begun: Sample = { late: QUANTILES.map(() => 0), utilization: performance.eventLoopUtilization() };
  const samples = [begun]; // the first is where the window begins
  setInterval(() => {
    const late = PERCENTS.map((percent) =>
      Math.max(0, delay.percentile(percent) / 1e9 - DELAY_RESOLUTION_MS / 1e3),
    );
    delay.reset();
    samples.push({ late, utilization: performance.eventLoopUtilization() });
    if (samples.length > SAMPLES + 1) samples.shift();
  }, SAMPLE_EVERY_MS).unref();

  return () => {
    const window = samples.length > 1 ? samples.slice(1) : samples;
    const [from = begun] = samples;
    const { utilization: to } = samples.at(-1) ?? begun;
    return {
      late: QUANTILES.map((_, i) => Math.max(...window.map(({ late }) => late[i] ?? 0))),
      utilization: performance.eventLoopUtilization(to, from.utilization).utilization || 0,
      heapUsed: process.memoryUsage().heapUsed,
    };
  };
}
