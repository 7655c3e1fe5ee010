import type { Bus, BusStats } from './port.js';
import type { BusLogger } from './quiet-log.js';
import { redisBus } from './redis-bus.js';
import { inCluster } from './redis-place.js';
import { GROUPS, groupKey, groupOf } from './redis-streams.js';

/**
 * A {@link Bus} over a Redis Cluster: a bus of its own for each group of partitions, connected to whoever is the
 * primary of the group's slot. A part that is away makes the whole unhealthy: the log is polled then.
 */
export function clusterBus(options: {
  /** Of any node of the cluster, as the setting REDIS_URL. */
  readonly url: string;
  readonly nodeId: string;
  readonly log: BusLogger;
}): Bus {
  const { nodeId, log } = options;
  const locate = inCluster(options.url);
  const parts = Array.from({ length: GROUPS }, (_, group) =>
    redisBus({ locate: () => locate(groupKey(group)), nodeId, log }),
  );
  const partOf = (partition: number) => parts[groupOf(partition)];

  async function each(
    partitions: readonly number[],
    follow: (part: Bus, partitions: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const wanted = parts.map((_, group) => partitions.filter((partition) => groupOf(partition) === group));
    await Promise.all(
      parts.map(async (part, group) => {
        const mine = wanted[group] ?? [];
        if (mine.length > 0) await follow(part, mine);
      }),
    );
  }

  return {
    solo: false,
    publish: (partition, entry) => partOf(partition)?.publish(partition, entry),
    signal: (partition, bytes) => partOf(partition)?.signal(partition, bytes),
    subscribe: (partitions, handler) => each(partitions, (part, mine) => part.subscribe(mine, handler)),
    subscribeSignals: (partitions, handler) =>
      each(partitions, (part, mine) => part.subscribeSignals(mine, handler)),
    healthy: () => parts.every((part) => part.healthy()),
    stats: () => parts.map((part) => part.stats()).reduce(together),
    async close() {
      await Promise.all(parts.map((part) => part.close()));
    },
  };
}

function together(one: BusStats, other: BusStats): BusStats {
  return {
    published: one.published + other.published,
    dropped: one.dropped + other.dropped,
    received: one.received + other.received,
    skippedOwn: one.skippedOwn + other.skippedOwn,
    skippedStale: one.skippedStale + other.skippedStale,
    missed: one.missed + other.missed,
    reconnects: one.reconnects + other.reconnects,
    watchdogTrips: one.watchdogTrips + other.watchdogTrips,
    lagMs: Math.max(one.lagMs, other.lagMs),
    healthy: one.healthy && other.healthy,
  };
}
