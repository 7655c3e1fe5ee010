import type { Member, Message, Role, RoomInfo, UserStatus } from './types.js';

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
export interface MessagePinned extends Logged {
  readonly type: 'message_pinned';
  readonly message_id: string;
  /** Who did it. */
  readonly user_id: string;
  /** Whole: it may be an old one. */
  readonly message: Message;
}
export interface MessageUnpinned extends Logged {
  readonly type: 'message_unpinned';
  readonly message_id: string;
  readonly user_id: string;
}
export type LogEvent =
  | NewMessage
  | MessageUpdated
  | MessageDeleted
  | Reacted
  | MessagePinned
  | MessageUnpinned;

/** The consumer was too slow, or the server lost what this client knew: go on from this state. */
export interface Reset {
  readonly type: 'reset';
  readonly room_id: string;
  readonly rev: number;
  /** The timeline at `rev`. */
  readonly messages: readonly Message[];
}

interface OfRoom {
  readonly room_id: string;
}
interface OfUser extends OfRoom {
  readonly user_id: string;
  readonly username: string;
}

export interface UserTyping extends OfUser {
  readonly type: 'user_typing' | 'user_stopped_typing';
}
/** Somebody came online, changed between online and away, or has another name since. */
export interface UserOnline extends OfUser {
  readonly type: 'user_online';
  readonly status?: UserStatus;
}
export interface UserOffline extends OfUser {
  readonly type: 'user_offline';
}
/** Several at once: after joining, those who are there, at most 100. Who isn't named keeps the status that was told before. */
export interface Presence extends OfRoom {
  readonly type: 'presence';
  readonly users: readonly {
    readonly user_id: string;
    readonly username: string;
    readonly status: UserStatus;
  }[];
  /** Of all members. */
  readonly online: number;
}
/** In place of names, in rooms of over 1,000 members. */
export interface PresenceCount extends OfRoom {
  readonly type: 'presence_count';
  readonly online: number;
}
export interface ReadReceipt extends OfRoom {
  readonly type: 'read_receipt';
  readonly user_id: string;
  readonly seq_no: number;
}
export interface MemberJoined extends OfUser {
  readonly type: 'member_joined';
  readonly role: Role;
  readonly member: Member;
}
export interface MemberLeft extends OfUser {
  readonly type: 'member_left';
}
/** A role or a mute changed. */
export interface MemberUpdated extends OfUser {
  readonly type: 'member_updated';
  readonly role: Role;
  readonly muted_until: string | null;
  readonly member: Member;
}
export interface RoomUpdated extends OfRoom {
  readonly type: 'room_updated';
  readonly room: RoomInfo;
}
export interface RoomDeleted extends OfRoom {
  readonly type: 'room_deleted';
}
export interface RemovedFromRoom extends OfRoom {
  readonly type: 'removed_from_room';
  /** `removed`, `banned`; `refused` where it came out on joining again, then with the error's code. */
  readonly reason: string;
  readonly code?: string;
}

/** What passes and isn't kept: typing, presence, read marks, members, the room itself. */
export type Passing =
  | UserTyping
  | UserOnline
  | UserOffline
  | Presence
  | PresenceCount
  | ReadReceipt
  | MemberJoined
  | MemberLeft
  | MemberUpdated
  | RoomUpdated
  | RoomDeleted
  | RemovedFromRoom;

/** A later server may send types that aren't among these: pass over what you don't know. */
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
export const FINAL: ReadonlySet<string> = new Set<Passing['type']>(['room_deleted', 'removed_from_room']);
