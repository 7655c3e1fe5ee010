import type { Metric, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;
export type Observe = (value: number) => void;

interface Observed {
  /** Observations by bucket; the last are beyond all. */
  readonly counts: Float64Array;
  sum: number;
}

/**
 * A histogram for what is observed as often as messages come: an observation costs some additions, where prom-client's
 * own builds a key of the labels each time.
 *
 * @param of.buckets upper bounds, ascending
 * @returns adds a series, told from then on; what it gives observes into it. Each series is to be added once.
 */
export function leanHistogram(
  registers: readonly Registry[],
  of: {
    readonly name: string;
    readonly help: string;
    readonly buckets: readonly number[];
  },
): (labels: Labels) => Observe {
  const { name, help, buckets } = of;
  const all: { readonly labels: Labels; readonly observed: Observed }[] = [];

  function valuesOf({ labels, observed }: (typeof all)[number]) {
    let total = 0;
    const counted = [...buckets, '+Inf'].map((le, i) => {
      total += observed.counts[i] ?? 0;
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total };
    });
    return [
      ...counted,
      { metricName: `${name}_sum`, labels, value: observed.sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  }
  const metric = {
    name,
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: all.flatMap(valuesOf) }),
    reset: () => undefined,
  };
  // The types want one of prom-client's classes; a registry uses no more of them than this.
  for (const registry of registers) registry.registerMetric(metric as unknown as Metric);

  return (labels) => {
    const observed: Observed = { counts: new Float64Array(buckets.length + 1), sum: 0 };
    all.push({ labels, observed });
    return (value) => {
      let bucket = 0;
      while (bucket < buckets.length && value > (buckets[bucket] ?? 0)) bucket++;
      observed.counts[bucket] = (observed.counts[bucket] ?? 0) + 1;
      observed.sum += value;
    };
  };
}
