import type { Registry } from 'prom-client';
import { madeOnce } from '../lib/made-once.js';
import { leanHistogram } from './lean-histogram.js';
import type { CallMeter } from './timed.js';

/** A histogram of operations by name and outcome, `ok` or `error`, for {@link timed}. @param of.buckets seconds */
export function operationTimes(
  registers: readonly Registry[],
  of: { readonly name: string; readonly help: string; readonly buckets: readonly number[] },
): CallMeter {
  const series = leanHistogram(registers, of);
  return madeOnce((operation: string) => {
    const took = madeOnce((ok: boolean) => series({ operation, outcome: ok ? 'ok' : 'error' }));
    return { begun: () => undefined, ended: (ok, seconds) => took(ok)(seconds) };
  });
}
