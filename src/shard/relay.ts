import type { Bus } from '../bus/port.js';
import type { Logger } from '../observability/logger.js';
import { partitionOf, type RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { decodeMsgpack, encodeMsgpack } from '../protocol/strict-msgpack.js';
import type { LogChange, LogEvent } from '../rooms/events.js';
import { partitionsOf } from './signals.js';

/**
 * An entry of a partition's stream: what one batch changed in the partition's rooms, in order. A message that a
 * batch changed often (many reactions to one message) stands in it once.
 */
type Entry = readonly [
  messages: Message[],
  events: [room_id: RoomId, rev: number, message: number, change: LogChange][],
];

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
  await bus.subscribe(partitionsOf(where), (partition, bytes) => {
    try {
      offer(eventsOf(decodeMsgpack(bytes) as Entry));
    } catch (error) {
      log.warn({ event: 'bus_entry_unreadable', partition, err: error });
    }
  });
  return {
    publish(events) {
      if (bus.solo) return;
      for (const [partition, entry] of entriesOf(events)) bus.publish(partition, encodeMsgpack(entry));
    },
  };
}

function entriesOf(events: readonly LogEvent[]): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  const places = new Map<Message, number>();
  for (const { room_id, rev, message, ...change } of events) {
    const partition = partitionOf(room_id);
    const [messages, changes] = entries.get(partition) ?? [[], []];
    if (changes.length === 0) entries.set(partition, [messages, changes]);
    const place = places.get(message) ?? messages.push(message) - 1;
    places.set(message, place);
    changes.push([room_id, rev, place, change]);
  }
  return entries;
}

/** @throws Error for an entry that names a message which it doesn't hold */
function eventsOf([messages, events]: Entry): LogEvent[] {
  return events.map(([room_id, rev, place, change]) => {
    const message = messages[place];
    if (message === undefined) throw new Error(`no message ${place} of ${messages.length}`);
    return { room_id, rev, message, ...change };
  });
}
