/** Everything that makes a run fail, counted by kind, with the first few of each told in words. */
export const FAULT_KINDS = [
  'lost',
  'lost_revs',
  'repeated',
  'misordered',
  'contradicted',
  'beyond_head',
  'acked_not_in_room',
  'acked_not_delivered',
  'ack_contradicted',
  'ack_repeated',
  'ack_missing',
  'unsent',
  'unhandled_frame',
  'error_frame',
  'resync_unhealed',
  'unexpected_close',
  'not_resumed',
  'scan_mismatch',
  'loader_died',
  'server_exit',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** One kind's count and first few cases; plain data, it travels between processes. */
export interface FaultSummary {
  readonly kind: FaultKind;
  count: number;
  readonly examples: string[];
}

export interface Faults {
  /** Counts `times` faults; `describe` is called only for the first few of a kind. */
  add(kind: FaultKind, describe: () => string, times?: number): void;
  /** Adds another process's. */
  merge(others: readonly FaultSummary[]): void;
  summaries(): FaultSummary[];
}

/** So many cases of a kind are told: enough to see a pattern, few enough to read. */
const EXAMPLES_PER_KIND = 5;

/** @returns an empty collection. */
export function createFaults(): Faults {
  const byKind = new Map<FaultKind, FaultSummary>();

  function summaryOf(kind: FaultKind): FaultSummary {
    let summary = byKind.get(kind);
    if (summary === undefined) {
      summary = { kind, count: 0, examples: [] };
      byKind.set(kind, summary);
    }
    return summary;
  }

  return {
    add(kind, describe, times = 1) {
      const summary = summaryOf(kind);
      summary.count += times;
      if (summary.examples.length < EXAMPLES_PER_KIND) summary.examples.push(describe());
    },
    merge(others) {
      for (const other of others) {
        const summary = summaryOf(other.kind);
        summary.count += other.count;
        summary.examples.push(...other.examples.slice(0, EXAMPLES_PER_KIND - summary.examples.length));
      }
    },
    summaries: () => FAULT_KINDS.flatMap((kind) => byKind.get(kind) ?? []),
  };
}
