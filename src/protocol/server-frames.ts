import Type, { type TSchema } from 'typebox';
import type { ErrorCode } from './errors.js';
import { ERRORS } from './errors.js';
import type { ClientFrameType } from './frames.js';
import { Member, Message, MyRoom, Role, Room, Timestamp, UserStatus, Uuid } from './model.js';
import { StatusChange } from './signals.js';

/** What the server sends over a WebSocket (PROTOCOL §3), for the documents and for checks of what is sent. */
export interface ServerFrameSpec {
  readonly summary: string;
  readonly payload: TSchema;
  /**
   * `answer`: repeats the `ref` of a request. `log`: a change in a room's log, with its `rev`; the revs of a
   * room have no gap. `event`: anything else that happens.
   */
  readonly kind: 'answer' | 'log' | 'event';
}

const Count = Type.Integer({ minimum: 0 });
const Who = { user_id: Uuid, username: Type.String() };
const Nothing = Type.Object({});

const Problem = Type.Object({
  code: Type.Union(Object.keys(ERRORS).map((code) => Type.Literal(code))),
  error: Type.String(),
  retry: Type.Boolean(),
  field: Type.Optional(Type.String()),
  retry_after_ms: Type.Optional(Count),
});

const Joined = Type.Object({
  room_id: Uuid,
  role: Role,
  head_seq: Count,
  head_rev: Count,
  last_read_seq: Count,
  unread_count: Count,
  messages: Type.Optional(Type.Array(Message)),
  next_since: Type.Optional(Count),
  more: Type.Optional(Type.Boolean()),
});
const NotJoined = Type.Object({ room_id: Uuid, ...Problem.properties });
const Reacted = Type.Object({ message_id: Uuid, emoji: Type.String(), user_id: Uuid, count: Count });

export const SERVER_FRAMES = {
  welcome: {
    kind: 'event',
    summary: 'The socket is authenticated',
    payload: Type.Object({
      user_id: Uuid,
      session_id: Uuid,
      server_time: Timestamp,
      /** Seconds between the server's pings. */
      heartbeat_s: Count,
      limits: Type.Record(Type.String(), Count),
    }),
  },
  authenticated: {
    kind: 'answer',
    summary: 'The token is good',
    payload: Type.Object({ user_id: Uuid, session_id: Uuid }),
  },
  pong: { kind: 'answer', summary: 'The answer to a ping', payload: Nothing },
  joined: {
    kind: 'answer',
    summary: 'The room, and with `since` every message changed after it; later changes come live',
    payload: Joined,
  },
  resumed: {
    kind: 'answer',
    summary: 'Some of the rooms of a resume; `last` in the last of these frames',
    payload: Type.Object({ rooms: Type.Array(Type.Union([Joined, NotJoined])), last: Type.Boolean() }),
  },
  synced: {
    kind: 'answer',
    summary: 'Messages changed after `since`, by rev',
    payload: Type.Object({
      messages: Type.Array(Message),
      head_rev: Count,
      next_since: Count,
      more: Type.Boolean(),
    }),
  },
  left: { kind: 'answer', summary: 'This socket receives the room no more', payload: Nothing },
  message_ack: {
    kind: 'answer',
    summary: 'The message is committed',
    payload: Type.Object({
      id: Uuid,
      seq_no: Count,
      rev: Count,
      created_at: Timestamp,
      /** Whether it had been committed before, under the same id. */
      duplicate: Type.Boolean(),
    }),
  },
  ok: {
    kind: 'answer',
    summary: 'The change is committed',
    payload: Type.Object({ message_id: Type.Optional(Uuid), rev: Type.Optional(Count) }),
  },
  error: { kind: 'answer', summary: 'The request failed', payload: Problem },
  new_message: { kind: 'log', summary: 'A message', payload: Type.Object({ message: Message }) },
  message_updated: {
    kind: 'log',
    summary: 'A message was edited, or a file of it deleted: its new state',
    payload: Type.Object({ message_id: Uuid, message: Message }),
  },
  message_deleted: {
    kind: 'log',
    summary: 'A message was deleted; its number stays',
    payload: Type.Object({ message_id: Uuid, seq_no: Count }),
  },
  reaction_added: { kind: 'log', summary: 'A reaction; `count` is the count after it', payload: Reacted },
  reaction_removed: { kind: 'log', summary: 'A reaction was taken back', payload: Reacted },
  message_pinned: {
    kind: 'log',
    summary: 'A message was pinned by `user_id`; it comes whole, because it may be an old one',
    payload: Type.Object({ message_id: Uuid, user_id: Uuid, message: Message }),
  },
  message_unpinned: {
    kind: 'log',
    summary: 'A message was unpinned by `user_id`',
    payload: Type.Object({ message_id: Uuid, user_id: Uuid }),
  },
  user_typing: {
    kind: 'event',
    summary: 'Somebody types; good for 5 s unless it comes again, and ended by a message',
    payload: Type.Object(Who),
  },
  user_stopped_typing: { kind: 'event', summary: 'Somebody stopped typing', payload: Type.Object(Who) },
  user_online: {
    kind: 'event',
    summary:
      'Somebody in the room came online, changed between online and away, or has another name since; a hidden user never does',
    payload: Type.Object({ ...Who, status: Type.Optional(UserStatus) }),
  },
  user_offline: {
    kind: 'event',
    summary:
      'Somebody went offline: within 10 s of the last socket, unless there is a new one; not by leave_room',
    payload: Type.Object(Who),
  },
  presence: {
    kind: 'event',
    summary:
      'The status of several at once, as user_online and user_offline would tell it; `online` counts all. After `joined` and `resync` a client knows of nobody in the room: where others are online, this follows with at most 100 of them',
    payload: Type.Object({ users: Type.Array(StatusChange), online: Count }),
  },
  presence_count: {
    kind: 'event',
    summary:
      'How many are online, in rooms of over 1,000 members, at most once in 5 s; names told before are to be forgotten',
    payload: Type.Object({ online: Count }),
  },
  read_receipt: {
    kind: 'event',
    summary:
      'Somebody has read up to a message; the numbers of a user only rise. In rooms of over 1,000 members only you hear of yourself',
    payload: Type.Object({ user_id: Uuid, seq_no: Count }),
  },
  member_joined: {
    kind: 'event',
    summary: 'Somebody joined the room',
    payload: Type.Object({ ...Who, role: Role, member: Member }),
  },
  member_left: { kind: 'event', summary: 'Somebody left or was removed', payload: Type.Object(Who) },
  member_updated: {
    kind: 'event',
    summary: "A member's role or mute changed",
    payload: Type.Object({
      ...Who,
      role: Role,
      muted_until: Type.Union([Timestamp, Type.Null()]),
      member: Member,
    }),
  },
  room_updated: { kind: 'event', summary: 'The room changed', payload: Type.Object({ room: Room }) },
  room_deleted: {
    kind: 'event',
    summary: 'The room was deleted',
    payload: Type.Object({ room_id: Uuid }),
  },
  removed_from_room: {
    kind: 'event',
    summary: 'You were removed or banned from a room',
    payload: Type.Object({ room_id: Uuid, reason: Type.String() }),
  },
  room_added: {
    kind: 'event',
    summary: 'You are a member of a room: added to it, or come or made it yourself, on whatever device',
    payload: Type.Object({ room: Type.Union([MyRoom, Room]) }),
  },
  resync: {
    kind: 'event',
    summary: 'This socket missed something: `sync` these rooms',
    payload: Type.Object({ rooms: Type.Array(Type.Object({ room_id: Uuid, head_rev: Count })) }),
  },
  bye: {
    kind: 'event',
    summary: 'The server goes away; come back after so long',
    payload: Type.Object({ reason: Type.String(), reconnect_after_ms: Count }),
  },
} as const satisfies Record<string, ServerFrameSpec>;

export type ServerFrameType = keyof typeof SERVER_FRAMES;

/** What each frame of a client does, what answers it, and the codes its `error` may bear besides the common ones. */
export const CLIENT_FRAME_NOTES: Record<
  ClientFrameType,
  {
    readonly summary: string;
    readonly answer: ServerFrameType | null;
    readonly errors: readonly ErrorCode[];
  }
> = {
  authenticate: {
    summary: 'Authenticate this socket, or renew its token; a bad token closes it with 4004',
    answer: 'authenticated',
    errors: [],
  },
  ping: { summary: 'Is the server there?', answer: 'pong', errors: [] },
  join_room: {
    summary: 'Receive a room from now on; with `since`, what changed after that rev first',
    answer: 'joined',
    errors: ['not_found', 'not_a_member', 'invalid_since'],
  },
  leave_room: { summary: 'Receive a room no more', answer: 'left', errors: [] },
  resume: {
    summary: 'Join many rooms at once after a reconnect',
    answer: 'resumed',
    errors: [],
  },
  sync: {
    summary: 'Read what changed in a room after a rev',
    answer: 'synced',
    errors: ['not_found', 'not_a_member', 'invalid_since'],
  },
  send_message: {
    summary: 'Send a message; a repeat of the same id is answered with the first result',
    answer: 'message_ack',
    errors: ['not_found', 'not_a_member', 'muted', 'slow_mode', 'id_conflict'],
  },
  edit_message: {
    summary: 'Edit your message',
    answer: 'ok',
    errors: ['not_found', 'not_a_member', 'forbidden', 'muted'],
  },
  delete_message: {
    summary: 'Delete a message',
    answer: 'ok',
    errors: ['not_found', 'not_a_member', 'forbidden'],
  },
  add_reaction: {
    summary: 'React to a message',
    answer: 'ok',
    errors: ['not_found', 'not_a_member', 'muted', 'conflict'],
  },
  remove_reaction: {
    summary: 'Take a reaction back',
    answer: 'ok',
    errors: ['not_found', 'not_a_member'],
  },
  mark_read: {
    summary: 'Move the read watermark forward',
    answer: 'ok',
    errors: ['not_found', 'not_a_member'],
  },
  user_typing: {
    summary: 'You are typing; say so again while it lasts',
    answer: null,
    errors: ['not_found', 'not_a_member', 'muted'],
  },
  user_stopped_typing: {
    summary: 'You have stopped typing',
    answer: null,
    errors: ['not_found', 'not_a_member'],
  },
};
