import type { Frame } from './codec.js';
import type { Off } from './emitter.js';
import type { RoomEvent, RoomEvents } from './events.js';
import type { CallOptions, Http } from './http.js';
import type { Outbox, Outgoing } from './outbox.js';
import { createOutboxView } from './outbox-view.js';
import { createReadMark, type ReadMark } from './read-mark.js';
import type { Position, RoomStream } from './room-stream.js';
import type { Message, MessageBody } from './types.js';
import { createTyping, type Typing } from './typing.js';

export interface EventsOptions extends CallOptions {
  /** Events that may wait for the consumer; beyond, it gets a `reset` with the state. */
  readonly buffer?: number;
}

/** A room: sending needs membership only, hearing needs `join`. */
export interface Room {
  readonly id: string;
  readonly state: () => 'apart' | 'joining' | 'joined';
  /**
   * Starts hearing the room and goes on over lost connections until `leave`. It begins now, or where this handle last left,
   * or at a position kept over a reload.
   * @throws ParleyError `not_found`, `not_a_member`
   */
  readonly join: (options?: CallOptions & { from?: Position | undefined }) => Promise<void>;
  /** Stops hearing it; membership stays. */
  readonly leave: () => void;
  /** What to give to `join` after a reload: all up to there was handed out. null before the first join. */
  readonly position: () => Position | null;

  /** Calls `fn` with each event of a type, in order. `change`: the timeline or what is on its way changed. */
  readonly on: <T extends keyof RoomEvents | 'change'>(
    type: T,
    fn: (event: T extends keyof RoomEvents ? RoomEvents[T] : undefined) => void,
  ) => Off;
  /** All events in order, at the consumer's pace: `for await (const event of room.events())`. Ends with `leave` or the signal. */
  readonly events: (options?: EventsOptions) => AsyncIterableIterator<RoomEvent>;

  /** The newest messages as they are now, oldest first, without a hole. The same array until it changes. */
  readonly messages: () => readonly Message[];
  /** Adds up to `count` older ones; returns how many, 0 at the beginning or where the timeline is full. */
  readonly loadOlder: (count?: number, options?: CallOptions) => Promise<number>;
  /** What is on its way and not among `messages` yet, in order. */
  readonly pending: () => readonly Outgoing[];

  /** Queues a message: it is sent once, in order, however often the connection breaks. @throws ParleyError `queue_full` */
  readonly send: (message: string | MessageBody) => Outgoing;
  /** Changes wait for a connection, and repeat until they are answered; give a signal to bound that. */
  readonly edit: (messageId: string, content: string, options?: CallOptions) => Promise<void>;
  readonly delete: (messageId: string, options?: CallOptions) => Promise<void>;
  readonly react: (messageId: string, emoji: string, options?: CallOptions) => Promise<void>;
  readonly unreact: (messageId: string, emoji: string, options?: CallOptions) => Promise<void>;
  readonly pin: (messageId: string, options?: CallOptions) => Promise<Message>;
  readonly unpin: (messageId: string, options?: CallOptions) => Promise<Message>;

  /** Moves the read mark forward to a number, in a moment, many moves as one. */
  readonly markRead: (seqNo: number) => void;
  readonly lastRead: () => number;
  /** Call it at each key of the person. */
  readonly typing: () => void;
  readonly stopTyping: () => void;
  readonly typingUsers: () => { user_id: string; username: string }[];
}

export interface RoomDeps {
  readonly http: Http;
  readonly outbox: Outbox;
  readonly command: (frame: Frame, options?: CallOptions) => Promise<unknown>;
  readonly leave: (roomId: string) => void;
  readonly tell: (frame: Frame) => void;
}

/** A room's parts that the client reaches behind the handle. */
export interface RoomParts {
  readonly room: Room;
  readonly stream: RoomStream;
  readonly typing: Typing;
  readonly readMark: ReadMark;
  readonly outgoing: (outgoing: Outgoing) => void;
}

const BUFFER = 256;
const PAGE = 50;

export function createRoom(stream: RoomStream, deps: RoomDeps): RoomParts {
  const { id, timeline } = stream;
  const { http } = deps;
  const typing = createTyping((type) => deps.tell({ type, room_id: id }));
  const readMark = createReadMark((seq_no) =>
    deps.command({ type: 'mark_read', room_id: id, payload: { seq_no } }),
  );
  const view = createOutboxView(stream, () => deps.outbox.list(id));
  const change = async (type: string, payload: object, options?: CallOptions): Promise<void> => {
    await deps.command({ type, room_id: id, payload }, options);
  };
  const pin = (method: string) => (messageId: string, options?: CallOptions) =>
    http.call<Message>(method, `/messages/${messageId}/pin`, options);

  const room: Room = {
    id,
    state: stream.state,
    join: ({ from, signal } = {}) => stream.join(from, signal),
    leave: () => {
      if (stream.state() === 'apart') return;
      stream.leave();
      deps.leave(id);
    },
    position: stream.position,
    on: (type, fn) => stream.emitter.on(type, fn as never),
    events: ({ buffer = BUFFER, signal } = {}) => stream.events(buffer, signal),
    messages: timeline.messages,
    loadOlder: (count = PAGE, options = {}) =>
      timeline.prepend(async (before) => {
        const query = { limit: Math.min(count, 100), before };
        return (await http.page<Message>(`/rooms/${id}/messages`, query, options)).items;
      }),
    pending: view.pending,
    send: (message) => {
      typing.stop();
      return deps.outbox.add(id, typeof message === 'string' ? { content: message } : message);
    },
    edit: (message_id, content, options) => change('edit_message', { message_id, content }, options),
    delete: (message_id, options) => change('delete_message', { message_id }, options),
    react: (message_id, emoji, options) => change('add_reaction', { message_id, emoji }, options),
    unreact: (message_id, emoji, options) => change('remove_reaction', { message_id, emoji }, options),
    pin: pin('PUT'),
    unpin: pin('DELETE'),
    markRead: readMark.mark,
    lastRead: readMark.seq,
    typing: typing.key,
    stopTyping: typing.stop,
    typingUsers: typing.others,
  };
  return { room, stream, typing, readMark, outgoing: view.changed };
}
