import type { ServerFrame } from '../protocol/frames.js';
import type { RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { LoggedMessage } from './ports.js';

/** A change in a room's log, as it goes to the room's topics. */
export interface LogEvent {
  readonly room_id: RoomId;
  readonly rev: number;
  readonly type: 'new_message' | 'message_updated' | 'message_deleted';
  /** The message after the change. */
  readonly message: Message;
}

/** The event's frame (PROTOCOL §3). */
export function logEventFrame(event: LogEvent): ServerFrame {
  const { message } = event;
  return {
    type: event.type,
    room_id: event.room_id,
    rev: event.rev,
    payload: payloadOf(event.type, message),
    timestamp: Date.now(),
  };
}

function payloadOf(type: LogEvent['type'], message: Message): unknown {
  switch (type) {
    case 'new_message':
      return { message };
    case 'message_updated':
      return { message_id: message.id, message };
    case 'message_deleted':
      return { message_id: message.id, seq_no: message.seq_no };
    default:
      return type satisfies never;
  }
}

/**
 * The events of a range of the log, rebuilt from rows. A change that a later one to the same message has
 * overtaken comes at its own rev with the message's present state.
 *
 * @returns by rev; a rev that can't be rebuilt is missing
 */
export function rebuildEvents(room_id: RoomId, changes: readonly LoggedMessage[]): Map<number, LogEvent> {
  const events = new Map<number, LogEvent>();
  const add = (rev: number, type: LogEvent['type'], message: Message) =>
    events.set(rev, { room_id, rev, type, message });
  for (const { message, created_rev, edit_revs } of changes) {
    add(created_rev, 'new_message', message);
    for (const rev of edit_revs) add(rev, 'message_updated', message);
    if (message.rev !== created_rev) {
      add(message.rev, message.deleted_at === null ? 'message_updated' : 'message_deleted', message);
    }
  }
  return events;
}
