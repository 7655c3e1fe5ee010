import { ERRORS } from '../protocol/errors.js';

const FAILURES = new Set(
  Object.entries(ERRORS).flatMap(([code, { status }]) => (status >= 500 ? [code] : [])),
);

/** A family of series as prom-client gives it in JSON. */
export interface Family {
  readonly name: string;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number | undefined>>;
    readonly metricName?: string;
  }[];
}

/** Cumulative counts by the upper bound of their bucket, in seconds and rising. */
type Buckets = readonly (readonly [le: number, count: number])[];

/** What the status page knows of one moment; counters since the processes began. */
export interface Sample {
  readonly atMs: number;
  readonly ready: boolean;
  readonly databaseUp: boolean;
  readonly busHealthy: boolean;
  readonly storageUp: boolean;
  readonly shards: { readonly up: number; readonly all: number };
  readonly sockets: { readonly json: number; readonly msgpack: number; readonly slow: number };
  readonly usersPresent: number;
  readonly committed: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly requests: number;
  readonly failures: number;
  readonly limited: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly ack: Buckets;
  readonly delivery: Buckets;
  readonly database: Buckets;
  /** The busiest thread's share of its time. */
  readonly busiest: { readonly thread: string; readonly share: number };
}

export function sampleOf(families: readonly Family[], atMs: number): Sample {
  const byName = new Map(families.map((family) => [family.name, family.values]));
  const of = (name: string) => byName.get(name) ?? [];
  const sum = (name: string, wanted: (labels: Family['values'][number]['labels']) => boolean = () => true) =>
    of(name).reduce((all, { value, labels }) => (wanted(labels) ? all + value : all), 0);
  const everyOne = (name: string) => of(name).every(({ value }) => value === 1);
  const counts = (name: string, wanted?: (labels: Family['values'][number]['labels']) => boolean) =>
    of(name).reduce(
      (all, { value, labels, metricName }) =>
        metricName === `${name}_count` && (wanted?.(labels) ?? true) ? all + value : all,
      0,
    );
  const buckets = (name: string): Buckets => {
    const byBound = new Map<number, number>();
    for (const { value, labels, metricName } of of(name)) {
      if (metricName !== `${name}_bucket`) continue;
      const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
      byBound.set(le, (byBound.get(le) ?? 0) + value);
    }
    return [...byBound].sort(([a], [b]) => a - b);
  };
  const busiest = of('parley_event_loop_utilization_ratio')
    .map(({ value, labels }) => ({ thread: `${labels.thread} of process ${labels.process}`, share: value }))
    .sort((a, b) => b.share - a.share)[0];
  return {
    atMs,
    ready: everyOne('parley_ready'),
    databaseUp: everyOne('parley_database_up'),
    busHealthy: everyOne('parley_bus_healthy'),
    storageUp: everyOne('parley_storage_up'),
    shards: { up: sum('parley_shard_up'), all: of('parley_shard_up').length },
    sockets: {
      json: sum('parley_websocket_connections', ({ encoding }) => encoding === 'json'),
      msgpack: sum('parley_websocket_connections', ({ encoding }) => encoding === 'msgpack'),
      slow: sum('parley_slow_readers'),
    },
    usersPresent: sum('parley_users_present'),
    committed: sum('parley_changes_committed_total'),
    framesIn: sum('parley_websocket_frames_received_total'),
    framesOut: sum('parley_websocket_frames_sent_total'),
    requests: counts('parley_http_request_seconds'),
    failures: counts('parley_http_request_seconds', ({ code }) => FAILURES.has(String(code))),
    limited: sum('parley_limits_hit_total'),
    cpuSeconds: sum('process_cpu_seconds_total'),
    rssBytes: sum('process_resident_memory_bytes'),
    ack: buckets('parley_ack_seconds'),
    delivery: buckets('parley_delivery_seconds'),
    database: buckets('parley_database_seconds'),
    busiest: busiest ?? { thread: '–', share: 0 },
  };
}

/** What rose between two moments, a second. Less than nothing, as after a process' restart, counts as nothing. */
export function rate(earlier: Sample, later: Sample, of: (sample: Sample) => number): number {
  const seconds = (later.atMs - earlier.atMs) / 1_000;
  return seconds > 0 ? Math.max(0, of(later) - of(earlier)) / seconds : 0;
}

/** The quantile of what was observed between two moments, in milliseconds; null where nothing was. */
export function quantileMs(earlier: Buckets, later: Buckets, share: number): number | null {
  const before = new Map(earlier);
  const fresh = later.map(([le, count]) => [le, Math.max(0, count - (before.get(le) ?? 0))] as const);
  const all = fresh.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  let [low, below] = [0, 0];
  for (const [le, count] of fresh) {
    if (count < all * share) {
      [low, below] = [le, count];
      continue;
    }
    if (!Number.isFinite(le)) return low * 1_000; // beyond the last bound: at least that
    return (low + ((le - low) * (all * share - below)) / Math.max(1, count - below)) * 1_000;
  }
  return low * 1_000;
}
