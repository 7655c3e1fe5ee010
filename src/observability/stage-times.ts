import type { Metric, Registry } from 'prom-client';

/** Where a message's time goes, in its order; the last two are measured once a batch of the shard's answers and events. */
export const SHARD_STAGES = ['to_shard', 'admit', 'wait', 'commit'] as const;
export const FRONT_STAGES = ['publish', 'deliver'] as const;

const NAME = 'parley_message_stage_seconds';
const HELP =
  'Where a message’s time goes: `to_shard` from the front to its shard, `admit` whether it may, `wait` for the batch before, `commit` in the statement, `publish` from the shard to the front, `deliver` to the sockets; the last two a batch.';
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

interface Times {
  /** Observations by bucket; the last are beyond all. */
  readonly counts: Float64Array;
  sum: number;
}

/**
 * A histogram by stage that costs some additions an observation: prom-client's own builds a key of the labels each time,
 * and every message is observed several times.
 */
export function stageTimes<Stage extends string>(
  registers: readonly Registry[],
  stages: readonly Stage[],
): (stage: Stage, seconds: number) => void {
  const times = Object.fromEntries(
    stages.map((stage): [string, Times] => [stage, { counts: new Float64Array(BUCKETS.length + 1), sum: 0 }]),
  ) as Record<Stage, Times>;

  function valuesOf(stage: Stage) {
    const { counts, sum } = times[stage];
    let total = 0;
    const buckets = [...BUCKETS, '+Inf'].map((le, i) => {
      total += counts[i] ?? 0;
      return { metricName: `${NAME}_bucket`, labels: { stage, le }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${NAME}_sum`, labels: { stage }, value: sum },
      { metricName: `${NAME}_count`, labels: { stage }, value: total },
    ];
  }
  const metric = {
    name: NAME,
    get: async () => ({
      name: NAME,
      help: HELP,
      type: 'histogram',
      aggregator: 'sum',
      values: stages.flatMap(valuesOf),
    }),
    reset: () => undefined,
  };
  // The types want one of prom-client's classes; a registry uses no more of them than this.
  for (const registry of registers) registry.registerMetric(metric as unknown as Metric);

  return (stage, seconds) => {
    const of = times[stage];
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] ?? 0)) bucket++;
    of.counts[bucket] = (of.counts[bucket] ?? 0) + 1;
    of.sum += seconds;
  };
}
