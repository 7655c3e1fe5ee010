import type { Bus } from '../bus/port.js';
import type { Logger } from '../observability/logger.js';
import { PARTITIONS, partitionOf, type RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { decodeMsgpack, encodeMsgpack } from '../protocol/strict-msgpack.js';
import type { LogEvent } from '../rooms/events.js';

/** An entry of a partition's stream: what one batch changed in the partition's rooms, in order. */
type Entry = readonly [room_id: RoomId, rev: number, type: LogEvent['type'], message: Message][];

export interface Relay {
  /** Tells the other nodes of committed events; one entry per partition. */
  publish(events: readonly LogEvent[]): void;
}

/**
 * Connects a shard to the same shard of the other nodes. A hint only: what doesn't come is read from the log.
 * @param offer takes other nodes' events
 */
export async function connectRelay(
  bus: Bus,
  where: { readonly shard: number; readonly shards: number },
  offer: (events: readonly LogEvent[]) => void,
  log: Pick<Logger, 'warn'>,
): Promise<Relay> {
  const mine = Array.from({ length: PARTITIONS }, (_, partition) => partition).filter(
    (partition) => partition % where.shards === where.shard,
  );
  await bus.subscribe(mine, (partition, bytes) => {
    try {
      const entry = decodeMsgpack(bytes) as Entry;
      offer(entry.map(([room_id, rev, type, message]) => ({ room_id, rev, type, message })));
    } catch (error) {
      log.warn({ event: 'bus_entry_unreadable', partition, err: error });
    }
  });
  return {
    publish(events) {
      const byPartition = new Map<number, [RoomId, number, LogEvent['type'], Message][]>();
      for (const { room_id, rev, type, message } of events) {
        const partition = partitionOf(room_id);
        const entry = byPartition.get(partition) ?? [];
        byPartition.set(partition, entry);
        entry.push([room_id, rev, type, message]);
      }
      for (const [partition, entry] of byPartition) bus.publish(partition, encodeMsgpack(entry));
    },
  };
}
