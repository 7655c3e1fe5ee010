import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { threadRegistry } from '../observability/thread-metrics.js';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const SIZE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 150, 200, 256];

/** What a shard counts as it happens; everything else is read when scraped. */
export interface ShardMetrics {
  readonly registry: Registry;
  /** A batch of one kind was committed. @param seconds of its statement @param waits of its jobs before it, seconds */
  readonly batch: (kind: string, size: number, seconds: number, waits: readonly number[]) => void;
  /** A request arrived. @param seconds since the front received it */
  readonly arrived: (seconds: number) => void;
  /** An operation of the store ended, well or not. */
  readonly queried: (operation: string, ok: boolean, seconds: number) => void;
}

/** Totals that a shard's parts keep for themselves, read when scraped. */
export interface ShardTotals {
  /** Series name without `parley_` and `_total` → help and value. */
  readonly counters: Readonly<Record<string, readonly [help: string, read: () => number]>>;
  readonly gauges: Readonly<Record<string, readonly [help: string, read: () => number]>>;
  /** Cache → hits and misses. */
  readonly caches: Readonly<Record<string, () => { hits: number; misses: number }>>;
}

export function createShardMetrics(of: { process: number; shard: number }, totals: () => ShardTotals): ShardMetrics {
  const registry = threadRegistry(`shard-${of.shard}`);
  registry.setDefaultLabels({ process: String(of.process), thread: `shard-${of.shard}` });
  const registers = [registry];
  const stage = new Histogram({
    name: 'parley_message_stage_seconds',
    help: 'Where a message’s time goes: `to_shard` from the front to its shard, `wait` for the batch before, `commit` in the statement.',
    labelNames: ['stage'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const size = new Histogram({
    name: 'parley_batch_size',
    help: 'Changes committed in one statement, by kind.',
    labelNames: ['kind'],
    buckets: SIZE_BUCKETS,
    registers,
  });
  const changes = new Counter({
    name: 'parley_changes_committed_total',
    help: 'Changes committed, by kind; `send` are messages.',
    labelNames: ['kind'],
    registers,
  });
  const queries = new Histogram({
    name: 'parley_database_seconds',
    help: 'Operations of the database by name and outcome, waiting for a connection included.',
    labelNames: ['operation', 'outcome'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
  registerTotals(registers, totals);
  return {
    registry,
    batch(kind, count, seconds, waits) {
      size.observe({ kind }, count);
      changes.inc({ kind }, count);
      stage.observe({ stage: 'commit' }, seconds);
      for (const wait of waits) stage.observe({ stage: 'wait' }, wait);
    },
    arrived: (seconds) => stage.observe({ stage: 'to_shard' }, seconds),
    queried: (operation, ok, seconds) => queries.observe({ operation, outcome: ok ? 'ok' : 'error' }, seconds),
  };
}

function registerTotals(registers: Registry[], totals: () => ShardTotals): void {
  const { counters, gauges, caches } = totals();
  for (const [name, [help, read]] of Object.entries(counters)) {
    new Counter({
      name: `parley_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
  for (const [name, [help, read]] of Object.entries(gauges)) {
    new Gauge({ name: `parley_${name}`, help, registers, collect() { this.set(read()); } });
  }
  new Counter({
    name: 'parley_cache_lookups_total',
    help: 'Lookups in a cache, by cache and by `hit` or `miss`.',
    labelNames: ['cache', 'result'],
    registers,
    collect() {
      this.reset();
      for (const [cache, read] of Object.entries(caches)) {
        const { hits, misses } = read();
        this.inc({ cache, result: 'hit' }, hits);
        this.inc({ cache, result: 'miss' }, misses);
      }
    },
  });
}
