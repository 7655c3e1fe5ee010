import type { Message } from './types.js';

/** A change in a room's log. `live` is false for what happened while this client was away: then the message is as it is now. */
interface Logged {
  readonly room_id: string;
  readonly rev: number;
  readonly live: boolean;
}

/** A message: new to this client where it comes from catching up. */
export interface NewMessage extends Logged {
  readonly type: 'new_message';
  readonly message: Message;
}
export interface MessageUpdated extends Logged {
  readonly type: 'message_updated';
  readonly message_id: string;
  readonly message: Message;
}
export interface MessageDeleted extends Logged {
  readonly type: 'message_deleted';
  readonly message_id: string;
  readonly seq_no: number;
}
export interface Reacted extends Logged {
  readonly type: 'reaction_added' | 'reaction_removed';
  readonly message_id: string;
  readonly emoji: string;
  readonly user_id: string;
  readonly count: number;
}
export interface Pinned extends Logged {
  readonly type: 'message_pinned' | 'message_unpinned';
  readonly message_id: string;
  /** Who did it. */
  readonly user_id?: string;
  /** With a pin: it may be an old message. */
  readonly message?: Message;
}
export type LogEvent = NewMessage | MessageUpdated | MessageDeleted | Reacted | Pinned;

/** The consumer was too slow, or the server lost what this client knew: go on from this state. */
export interface Reset {
  readonly type: 'reset';
  readonly room_id: string;
  readonly rev: number;
  /** The timeline at `rev`. */
  readonly messages: readonly Message[];
}

/** What passes and isn't kept: typing, presence, read marks, members, the room itself. Members depend on the type. */
export interface Passing {
  readonly type: PassingType;
  readonly room_id: string;
  readonly user_id?: string;
  readonly username?: string;
  /** Of a `read_receipt`. */
  readonly seq_no?: number;
  readonly [member: string]: unknown;
}

export type PassingType =
  | 'user_typing'
  | 'user_stopped_typing'
  | 'user_online'
  | 'user_offline'
  | 'presence_count'
  | 'read_receipt'
  | 'member_joined'
  | 'member_left'
  | 'member_updated'
  | 'room_updated'
  | 'room_deleted'
  | 'removed_from_room';

export type RoomEvent = LogEvent | Reset | Passing;
export type RoomEvents = { [E in RoomEvent as E['type']]: E };

const LOGGED: ReadonlySet<string> = new Set<LogEvent['type']>([
  'new_message',
  'message_updated',
  'message_deleted',
  'reaction_added',
  'reaction_removed',
  'message_pinned',
  'message_unpinned',
]);

/** Whether an event changes messages, so that it belongs to the log. */
export function isLogEvent(event: RoomEvent): event is LogEvent {
  return LOGGED.has(event.type);
}

/** After these there is nothing more to hear of the room. */
export const FINAL: ReadonlySet<string> = new Set<PassingType>(['room_deleted', 'removed_from_room']);
