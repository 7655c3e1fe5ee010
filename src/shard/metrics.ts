import { Counter, Gauge, type Registry } from 'prom-client';
import type { Bus } from '../bus/port.js';
import type { Route } from '../http/routes.js';
import { madeOnce } from '../lib/made-once.js';
import { type CacheFigures, registerCaches } from '../observability/cache-metrics.js';
import { frameErrors } from '../observability/frame-errors.js';
import { leanCounter } from '../observability/lean-counter.js';
import { leanHistogram } from '../observability/lean-histogram.js';
import { limitsHit } from '../observability/limits-hit.js';
import { operationTimes } from '../observability/operation-times.js';
import { SHARD_STAGES, stageTimes } from '../observability/stage-times.js';
import { threadRegistry } from '../observability/thread-metrics.js';
import type { CallMeter } from '../observability/timed.js';
import type { ErrorCode } from '../protocol/errors.js';
import type { Admission } from '../rooms/admission.js';
import type { BatchKind, BatchWriter, ObserveBatch } from '../rooms/batch-writer.js';
import { LOG_CHANGES } from '../rooms/events.js';
import type { Joins } from '../rooms/joins.js';
import type { MessageService } from '../rooms/message-service.js';
import type { Sequencer } from '../rooms/sequencer.js';
import type { RequestLimits } from './request-limits.js';
import type { SearchUpkeep } from './search-upkeep.js';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const BATCH_KINDS = ['send', ...Object.keys(LOG_CHANGES)] as readonly BatchKind[];
const SIZE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 150, 200, 256];

/** What a shard counts as it happens; everything else is read when scraped. */
export interface ShardMetrics {
  readonly registry: Registry;
  /** A batch of one kind was committed. @param seconds of its statement @param waits of its jobs before it, seconds */
  readonly batch: ObserveBatch;
  /** A request arrived. @param seconds since the front received it */
  readonly arrived: (seconds: number) => void;
  /** A message goes to its batch. @param seconds since it was begun with */
  readonly admitted: (seconds: number) => void;
  /** Times the operations of the store, and counts those under way. */
  readonly queried: CallMeter;
  /** A frame was answered with an error. */
  readonly refused: (code: ErrorCode) => void;
  /** A request was refused by a limit over all nodes; its front had let it through. */
  readonly limited: (limit: Route['limit']) => void;
  /** Adds the totals of a shard's parts, once they exist. */
  readonly watch: (totals: ShardTotals) => void;
}

/** Totals that a shard's parts keep for themselves, read when scraped. */
export interface ShardTotals {
  /** Series name without `parley_` and `_total` → help and value. */
  readonly counters: Readonly<Record<string, readonly [help: string, read: () => number]>>;
  readonly gauges: Readonly<Record<string, readonly [help: string, read: () => number]>>;
  /** Cache → hits and misses so far, and what it holds now. */
  readonly caches: Readonly<Record<string, () => CacheFigures>>;
}

export function createShardMetrics(of: { process: number; shard: number; poolSize: number }): ShardMetrics {
  const registry = threadRegistry(`shard-${of.shard}`);
  registry.setDefaultLabels({ process: String(of.process), thread: `shard-${of.shard}` });
  const registers = [registry];
  const stage = stageTimes(registers, SHARD_STAGES);
  const batchSizes = leanHistogram(registers, {
    name: 'parley_batch_size',
    help: 'Changes committed in one statement, by kind.',
    buckets: SIZE_BUCKETS,
  });
  const batchSize = madeOnce((kind: BatchKind) => batchSizes({ kind }));
  const changes = leanCounter(registers, {
    name: 'parley_changes_committed_total',
    help: 'Changes committed, by kind; `send` are messages.',
    label: 'kind',
    values: BATCH_KINDS,
  });
  const times = operationTimes(registers, {
    name: 'parley_database_seconds',
    help: 'Operations of the database by name and outcome, waiting for a connection included.',
    buckets: LATENCY_BUCKETS,
  });
  let underway = 0;
  new Gauge({
    name: 'parley_database_operations_underway',
    help: 'Operations of the database that wait for a connection or an answer.',
    registers,
    collect() {
      this.set(underway);
    },
  });
  const queried: CallMeter = madeOnce((operation) => {
    const { ended } = times(operation);
    return {
      begun: () => {
        underway++;
      },
      ended(ok, seconds) {
        underway--;
        ended(ok, seconds);
      },
    };
  });
  new Gauge({
    name: 'parley_database_pool_size',
    help: 'Connections to the database that a shard may open.',
    registers,
  }).set(of.poolSize);
  return {
    registry,
    batch(kind, count, seconds, waits) {
      batchSize(kind)(count);
      changes(kind, count);
      stage('commit', seconds);
      for (const wait of waits) stage('wait', wait);
    },
    arrived: (seconds) => stage('to_shard', seconds),
    admitted: (seconds) => stage('admit', seconds),
    queried,
    refused: frameErrors(registers),
    limited: limitsHit(registers, ['rest', 'auth']),
    watch: (totals) => registerTotals(registers, totals),
  };
}

function registerTotals(registers: Registry[], { counters, gauges, caches }: ShardTotals): void {
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
    new Gauge({
      name: `parley_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
  registerCaches(registers, caches);
}

/** What a shard's parts count by themselves. */
export function shardTotals(parts: {
  readonly sequencer: Sequencer;
  readonly admission: Admission;
  readonly messages: MessageService;
  readonly writer: BatchWriter;
  readonly joins: Joins;
  readonly bus: Bus;
  readonly log: { leftOut(): number };
  readonly limits: RequestLimits;
  readonly searchWords: SearchUpkeep;
}): ShardTotals {
  const { sequencer, admission, messages, writer, joins, bus, log, limits, searchWords } = parts;
  return {
    counters: {
      gaps_filled: [
        'Events read from the log because nobody told of them.',
        () => sequencer.totals.gapsFilled,
      ],
      polls_healed: [
        'Times that a poll found a change of which nobody had told.',
        () => sequencer.totals.pollsHealed,
      ],
      rooms_joined: ['Rooms joined by sockets, without a place to resume from.', () => joins.totals.joined],
      rooms_resumed: ['Rooms joined by sockets that said what they had.', () => joins.totals.resumed],
      messages_replayed: ['Messages given to sockets that resumed or synced.', () => joins.totals.replayed],
      log_lines_left_out: ['Log lines left out as too many of their kind came.', () => log.leftOut()],
      head_polls: ['Statements that asked for heads of rooms.', () => sequencer.totals.polls],
      limits_fallback: [
        'Requests counted by their own node’s limits alone, as Redis gave no answer in time.',
        limits.fallbacks,
      ],
      bus_published: ['Entries and signals sent to other nodes.', () => bus.stats().published],
      bus_dropped: [
        'Entries and signals that could not be sent; the log has them.',
        () => bus.stats().dropped,
      ],
      bus_received: ['Entries and signals of other nodes.', () => bus.stats().received],
      bus_missed: ['Entries of other nodes that never came.', () => bus.stats().missed],
      bus_reconnects: ['Connections to the bus made anew.', () => bus.stats().reconnects],
      bus_watchdog_trips: ['Connections to the bus given up for silence.', () => bus.stats().watchdogTrips],
    },
    gauges: {
      tracked_rooms: ['Rooms whose log a shard follows.', () => sequencer.totals.trackedRooms()],
      changes_waiting: ['Changes that wait for their commit or are in it.', () => writer.waiting()],
      search_words_waiting: [
        'Messages whose words aren’t in the index yet, so that searches read them one by one.',
        searchWords.waiting,
      ],
      bus_healthy: ['Whether entries pass between nodes, 1 or 0.', () => Number(bus.healthy())],
      bus_lag_seconds: ['How long the last entry of another node took.', () => bus.stats().lagMs / 1_000],
    },
    caches: {
      standings: () => ({ ...admission.lookups, entries: admission.size }),
      recent_ids: messages.recent,
    },
  };
}
