import { isDeepStrictEqual } from 'node:util';
import { isLogEvent } from '../../client/src/events.js';
import type { Client, LogEvent, Message, Reset, Room, RoomEvent } from '../../client/src/index.js';

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

/** All that a room tells, and nothing else: whatever an application hears beside these is a fault. */
const LOGGED: Readonly<Record<(LogEvent | Reset)['type'], true>> = {
  new_message: true,
  message_updated: true,
  message_deleted: true,
  reaction_added: true,
  reaction_removed: true,
  message_pinned: true,
  message_unpinned: true,
  reset: true,
};
const ROOM_EVENTS: Readonly<Record<RoomEvent['type'], true>> = {
  ...LOGGED,
  user_typing: true,
  user_stopped_typing: true,
  user_online: true,
  user_offline: true,
  presence: true,
  presence_count: true,
  read_receipt: true,
  member_joined: true,
  member_left: true,
  member_updated: true,
  room_updated: true,
  room_deleted: true,
  removed_from_room: true,
};

/** What an application hears of one room. */
export interface Heard {
  /** Of the client, for all rooms. */
  readonly all: readonly RoomEvent[];
  /** Of the room: its log, type by type. */
  readonly log: readonly RoomEvent[];
}

/** Gathers a room's events from now on, by callback. */
export function gather(client: Client, room: Room): Heard {
  const [all, log]: [RoomEvent[], RoomEvent[]] = [[], []];
  client.on('room', (event) => {
    if (event.room_id === room.id) all.push(event);
  });
  for (const type of Object.keys(LOGGED) as (keyof typeof LOGGED)[]) {
    room.on(type, (event) => void log.push(event));
  }
  return { all, log };
}

/**
 * Whether events came in order of rev, each once, no message new twice, every message of the history at all, and nothing that is
 * no event of a room.
 */
export function streamFaults({ all, log }: Heard, history: readonly Message[]): string[] {
  const strays = new Set(all.map(({ type }) => type).filter((type) => !Object.hasOwn(ROOM_EVENTS, type)));
  const faults = [...strays].map((type) => `${type} is no event of a room`);
  const logged = all.filter(isLogEvent);
  if (!isDeepStrictEqual(logged, log.filter(isLogEvent))) faults.push('two listeners heard different things');
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
