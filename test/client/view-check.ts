import { isDeepStrictEqual } from 'node:util';
import { isLogEvent } from '../../client/src/events.js';
import type { LogEvent, Message, Room, RoomEvent } from '../../client/src/index.js';

/** What a message is, without what changes under the same rev or is made at read time. */
function lasting(message: Message): Partial<Message> {
  if (message.deleted_at !== null) {
    const { id, seq_no, rev, content, reactions, attachments } = message;
    return { id, seq_no, rev, content, reactions, attachments };
  }
  const { thread_count: _count, username: _name, attachments: _urls, ...rest } = message;
  return rest;
}

/** Where a room's timeline differs from its whole history (oldest first). */
export function viewFaults(room: Room, history: readonly Message[]): string[] {
  const seen = room.messages();
  const faults = seen.length === history.length ? [] : [`${seen.length} seen, ${history.length} in history`];
  for (const [index, message] of history.entries()) {
    const mine = seen[index];
    if (mine === undefined || !isDeepStrictEqual(lasting(mine), lasting(message))) {
      faults.push(`in place ${index + 1}: saw ${JSON.stringify(mine)}, is ${JSON.stringify(message)}`);
    }
  }
  return faults;
}

/** Gathers a room's events from now on, by callback. */
export function gather(room: Room): RoomEvent[] {
  const events: RoomEvent[] = [];
  const types = [
    'new_message',
    'message_updated',
    'message_deleted',
    'reaction_added',
    'reaction_removed',
    'message_pinned',
    'message_unpinned',
    'reset',
  ] as const;
  for (const type of types) room.on(type, (event) => void events.push(event as RoomEvent));
  return events;
}

/** Whether events came in order of rev, each once, no message new twice, and every message of the history at all. */
export function streamFaults(events: readonly RoomEvent[], history: readonly Message[]): string[] {
  const faults: string[] = [];
  const logged = events.filter((event): event is LogEvent => isLogEvent(event));
  const fresh = new Set<string>();
  const told = new Set<string>();
  let last = 0;
  for (const event of logged) {
    if (event.rev <= last) faults.push(`rev ${event.rev} after ${last}`);
    last = event.rev;
    const id = event.type === 'new_message' ? event.message.id : event.message_id;
    told.add(id);
    if (event.type !== 'new_message') continue;
    if (fresh.has(id)) faults.push(`${id} is new twice`);
    fresh.add(id);
  }
  for (const { id, seq_no } of history) if (!told.has(id)) faults.push(`seq_no ${seq_no} was never told`);
  return faults;
}
