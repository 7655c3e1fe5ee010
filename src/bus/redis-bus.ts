import { createHandlers, type Kind } from './handlers.js';
import type { Bus, BusHandler } from './port.js';
import { type BusLogger, quietLog } from './quiet-log.js';
import type { Place } from './redis-place.js';
import { createReader } from './redis-reader.js';
import { createWriter } from './redis-writer.js';

export interface RedisBusOptions {
  /** Where Redis is: asked for with each connection. */
  readonly locate: () => Promise<Place>;
  /** The same for all buses of a node, and no other node's. */
  readonly nodeId: string;
  readonly log: BusLogger;
}

/**
 * A {@link Bus} over Redis Streams. Connects by itself, again and again; while Redis is away entries are dropped and
 * counted. Needs nothing that Redis 6.2 and Valkey don't both have.
 */
export function redisBus({ locate, nodeId, log }: RedisBusOptions): Bus {
  const handlers = createHandlers();
  const quiet = quietLog(log, { node: nodeId });
  const writer = createWriter(locate, nodeId, quiet);
  const reader = createReader({
    locate,
    nodeId,
    log: quiet,
    deliver(kind, partition, bytes) {
      const handler = handlers.of(kind, partition);
      handler?.(partition, bytes);
      return handler !== undefined;
    },
  });
  let closing: Promise<unknown> | null = null;

  async function follow(kind: Kind, partitions: readonly number[], handler: BusHandler): Promise<void> {
    if (closing !== null) return;
    handlers.add(kind, partitions, handler);
    await reader.follow(partitions);
  }
  const healthy = () => closing === null && writer.healthy() && reader.healthy();

  return {
    solo: false,
    publish: (partition, entry) => writer.send('event', partition, entry),
    signal: (partition, bytes) => writer.send('signal', partition, bytes),
    subscribe: (partitions, handler) => follow('event', partitions, handler),
    subscribeSignals: (partitions, handler) => follow('signal', partitions, handler),
    healthy,
    stats: () => ({
      ...writer.totals,
      ...reader.totals,
      reconnects: Math.max(0, writer.link.connects - 1) + Math.max(0, reader.link.connects - 1),
      watchdogTrips: writer.link.watchdogTrips + reader.link.watchdogTrips,
      healthy: healthy(),
    }),
    async close() {
      closing ??= Promise.all([writer.close(), reader.close()]);
      await closing;
    },
  };
}
