/** `--ramp`: the highest rate with p99 delivery below the limit, each step a run of its own on a new server. */
import type { Say } from './measure.js';
import type { LoadOptions } from './options.js';
import { findHighestRate, type Search } from './rate-search.js';
import type { LoadResult, MergedRun } from './result.js';
import { runLoad } from './run.js';

/** The rate is kept when so much of it was sent and acknowledged in the window; the rest is what was under way at its edges. */
const MIN_SHARE_OF_RATE = 0.95;

/** Kinds of faults that say something of order, which a baseline without a log of its own may break without being slow. */
const ORDER_FAULTS = new Set(['misordered', 'contradicted', 'repeated', 'ack_contradicted']);

/** Whether a run kept its rate with p99 delivery below the limit. @param orderMatters false: faults of order don't count. */
export function keptUp(result: LoadResult, orderMatters = true): boolean {
  const { options, rates, delivery, faults, errorCodes } = result;
  const least = options.rate * MIN_SHARE_OF_RATE;
  const wrong = faults.filter((fault) => orderMatters || !ORDER_FAULTS.has(fault.kind));
  return (
    delivery.count > 0 &&
    delivery.p99 < options.p99LimitMs &&
    rates.sent >= least &&
    rates.acked >= least &&
    wrong.length === 0 &&
    Object.keys(errorCodes).length === 0
  );
}

/** Timers are no finer than a millisecond or two: a lag below this is what any loader has. */
const COMMON_LAG_MS = 5;

/** The loader had a large part in the latencies: the server could do more than the run says. */
export function isLoaderBound(result: LoadResult): boolean {
  return result.sendLag.p99 > Math.max(COMMON_LAG_MS, result.delivery.p99 / 2);
}

/** One line about a step. */
export function describeStep(result: LoadResult, passed: boolean): string {
  const { delivery, sendLag, faults } = result;
  const why = faults.map((fault) => `${fault.kind} ${fault.count}`).join(', ');
  return (
    `${String(Math.round(result.options.rate)).padStart(8)} msg/s  delivery p50 ${delivery.p50.toFixed(1)} p99 ${delivery.p99.toFixed(1)} ms, ` +
    `send lag p99 ${sendLag.p99.toFixed(1)} ms: ${passed ? 'kept up' : 'did not keep up'}${why === '' ? '' : ` (${why})`}` +
    `${isLoaderBound(result) ? ' [loader-bound]' : ''}`
  );
}

/**
 * Searches from `options.rate` on. A step whose run couldn't be finished (the server died under it) counts as failed.
 * @returns the runs, undefined for those that couldn't be finished.
 */
export async function runRamp(
  options: LoadOptions,
  say: Say,
  orderMatters = true,
): Promise<Search<MergedRun | undefined>> {
  return await findHighestRate<MergedRun | undefined>(options.rate, options.resolution, async (rate) => {
    say(`step: ${Math.round(rate)} msg/s`);
    try {
      const run = await runLoad({ ...options, rate }, say);
      const passed = keptUp(run.result, orderMatters);
      say(describeStep(run.result, passed));
      return { passed, outcome: run };
    } catch (error) {
      say(`the step failed: ${error instanceof Error ? error.message : String(error)}`);
      return { passed: false, outcome: undefined };
    }
  });
}
