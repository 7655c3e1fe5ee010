import type { ServerFrame } from '../protocol/frames.js';
import type { RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { ChangeKind, ChangeOrders, LoggedMessage, MarkChange } from './ports.js';

/** What happened to a message, beside its state. */
export type LogChange = { readonly type: 'new_message' | 'message_updated' | 'message_deleted' } | MarkChange;

/** A change in a room's log, as it goes to the room's topics. */
export type LogEvent = {
  readonly room_id: RoomId;
  readonly rev: number;
  /** The message after the change, or as it is after later ones: `message.rev` is never below `rev`. */
  readonly message: Message;
} & LogChange;

/** What the log tells of each kind of order that changed something. */
export const LOG_CHANGES: {
  readonly [Kind in ChangeKind]: (order: ChangeOrders[Kind], count: number) => LogChange;
} = {
  edit: () => ({ type: 'message_updated' }),
  delete: () => ({ type: 'message_deleted' }),
  addReaction: ({ user_id, emoji }, count) => ({ type: 'reaction_added', user_id, emoji, count }),
  removeReaction: ({ user_id, emoji }, count) => ({ type: 'reaction_removed', user_id, emoji, count }),
  pin: ({ user_id }) => ({ type: 'message_pinned', user_id }),
  unpin: ({ user_id }) => ({ type: 'message_unpinned', user_id }),
  detach: ({ user_id }) => ({ type: 'message_updated', user_id }),
};

/** The event's frame (PROTOCOL §3). */
export function logEventFrame(event: LogEvent): ServerFrame {
  return {
    type: event.type,
    room_id: event.room_id,
    rev: event.rev,
    payload: payloadOf(event),
    timestamp: Date.now(),
  };
}

function payloadOf(event: LogEvent): unknown {
  const { message } = event;
  switch (event.type) {
    case 'new_message':
      return { message };
    case 'message_updated':
      return { message_id: message.id, message };
    case 'message_deleted':
      return { message_id: message.id, seq_no: message.seq_no };
    case 'reaction_added':
    case 'reaction_removed':
      return { message_id: message.id, emoji: event.emoji, user_id: event.user_id, count: event.count };
    case 'message_pinned':
      return { message_id: message.id, user_id: event.user_id, message };
    case 'message_unpinned':
      return { message_id: message.id, user_id: event.user_id };
    default:
      return event satisfies never;
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
  for (const { message, created_rev, edit_revs, marks } of changes) {
    const add = (rev: number, change: LogChange) => events.set(rev, { room_id, rev, message, ...change });
    add(created_rev, { type: 'new_message' });
    for (const rev of edit_revs) add(rev, { type: 'message_updated' });
    for (const { rev, ...change } of marks) add(rev, change);
    if (message.deleted_at !== null) add(message.rev, { type: 'message_deleted' }); // nothing comes after it
  }
  return events;
}
