import type { Registry } from 'prom-client';
import { leanHistogram } from './lean-histogram.js';

/** Where a message's time goes, in its order; the last two are measured once a batch of the shard's answers and events. */
export const SHARD_STAGES = ['to_shard', 'admit', 'wait', 'commit'] as const;
export const FRONT_STAGES = ['publish', 'deliver'] as const;

const HELP =
  'Where a message’s time goes: `to_shard` from the front to its shard, `admit` whether it may, `wait` for the batch before, `commit` in the statement, `publish` from the shard to the front, `deliver` to the sockets; the last two a batch.';
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** The histogram of a thread's stages. */
export function stageTimes<Stage extends string>(
  registers: readonly Registry[],
  stages: readonly Stage[],
): (stage: Stage, seconds: number) => void {
  const series = leanHistogram(registers, {
    name: 'parley_message_stage_seconds',
    help: HELP,
    buckets: BUCKETS,
  });
  const byStage = new Map(stages.map((stage) => [stage, series({ stage })]));
  return (stage, seconds) => byStage.get(stage)?.(seconds);
}
