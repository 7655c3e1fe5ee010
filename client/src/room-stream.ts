import type { Frame } from './codec.js';
import { createEmitter, type Emitter } from './emitter.js';
import { errorOf, localError, type ParleyError, type Problem } from './errors.js';
import { createEventQueue, type EventQueue } from './event-queue.js';
import { FINAL, isLogEvent, type Passing, type RoomEvent, type RoomEvents } from './events.js';
import { createRoomLog, type Joined, type RoomLog, type Synced } from './room-log.js';
import { createTimeline, type Timeline } from './timeline.js';
import { abortable } from './waiting.js';

/** Where to go on reading a room: kept by the application over a reload. `{rev: 0, seq: 0}` is its beginning. */
export interface Position {
  readonly rev: number;
  readonly seq: number;
}

/**
 * The live side of one room: asked for, joined, in order, handed out.
 *
 *     apart ──join──► joining ──joined──► joined
 *       ▲               ▲ │ refused         │ connection lost: resumed with the next one
 *       │               └─┼─────────────────┘
 *       └─leave, refused──┘  and: removed from the room, room deleted
 */
export interface RoomStream {
  readonly id: string;
  readonly emitter: Emitter<RoomEvents & { change: undefined }>;
  readonly timeline: Timeline;
  readonly log: RoomLog<Frame>;
  readonly state: () => 'apart' | 'joining' | 'joined';
  readonly position: () => Position | null;
  readonly events: (limit: number, signal?: AbortSignal) => EventQueue<RoomEvent>;
  /** Resolves when joined. */
  readonly join: (from?: Position, signal?: AbortSignal) => Promise<void>;
  readonly leave: () => void;
  /** What a request to join holds, and where its answer goes. */
  readonly request: () => {
    readonly room: { readonly room_id: string; readonly since?: number };
    readonly answer: (answer: Joined | (Problem & { readonly room_id: string })) => void;
  };
  readonly synced: (answer: Synced) => void;
  /** The server says that this socket missed something. */
  readonly resync: (head: number) => void;
  readonly refused: (problem: Problem) => void;
  readonly frame: (frame: Frame) => void;
  /** The connection was lost. */
  readonly lost: () => void;
}

export interface StreamHooks {
  /** Asks to join, as soon as there is a connection; `delayMs` where the server said later. */
  readonly join: (stream: RoomStream, delayMs?: number) => void;
  readonly sync: (stream: RoomStream) => void;
  readonly joined: (answer: Joined) => void;
  readonly handed: (event: RoomEvent) => void;
}

const RETRY_MS = 1_000; // where the server doesn't say

export function createRoomStream(id: string, timelineLimit: number, hooks: StreamHooks): RoomStream {
  const emitter: RoomStream['emitter'] = createEmitter();
  const timeline = createTimeline(timelineLimit, () => emitter.emit('change', undefined));
  const queues = new Set<EventQueue<RoomEvent>>();
  let state: ReturnType<RoomStream['state']> = 'apart';
  let epoch = 0; // answers to requests from before a `leave` are ignored
  let head = 0; // the highest seq_no seen
  let position: Position | null = null; // the last at which nothing was missing
  let isNewAbove = 0; // what was caught up with above it is new
  let lostState = false; // the server knew less than this client: consumers get a `reset`
  const waiters: { resolve: () => void; reject: (error: ParleyError) => void }[] = [];

  const log = createRoomLog<Frame>({
    event: (rev, frame) => {
      const event = {
        ...(frame.payload as object),
        type: frame.type,
        room_id: id,
        rev,
        live: true,
      } as RoomEvent;
      if (isLogEvent(event)) timeline.apply(event, frame.timestamp ?? Date.now()); // else a later server's
      if (event.type === 'new_message') head = Math.max(head, event.message.seq_no);
      hand(event);
    },
    state: (message) => {
      const { rev, id: message_id, seq_no, deleted_at } = message;
      const isNew = seq_no > isNewAbove && timeline.get(message_id) === undefined;
      head = Math.max(head, seq_no);
      timeline.put(message);
      const same = { room_id: id, rev, live: false };
      if (deleted_at !== null) hand({ ...same, type: 'message_deleted', message_id, seq_no });
      else if (isNew) hand({ ...same, type: 'new_message', message });
      else hand({ ...same, type: 'message_updated', message_id, message });
    },
  });

  function hand(event: RoomEvent): void {
    hooks.handed(event);
    emitter.emit(event.type, event as never);
    for (const queue of queues) queue.push(event);
  }

  const reset = (): RoomEvent => ({
    type: 'reset',
    room_id: id,
    rev: log.rev() ?? 0,
    messages: timeline.messages(),
  });

  /** After each step: either something is missing, or all up to the head is known. */
  function settle(): void {
    if (log.behind()) hooks.sync(stream);
    else {
      isNewAbove = head;
      position = { rev: log.rev() ?? 0, seq: head };
    }
  }

  function joined(answer: Joined): void {
    const fresh = log.rev() === null;
    if (fresh) {
      head = isNewAbove = answer.head_seq;
      timeline.clear(head);
    }
    state = 'joined';
    log.joined(answer);
    hooks.joined(answer);
    for (const waiter of waiters.splice(0)) waiter.resolve();
    if (fresh && lostState) hand(reset());
    lostState = false;
    head = Math.max(head, answer.head_seq);
    settle();
  }

  function refused(problem: Problem): void {
    if (state === 'apart') return;
    if (problem.code === 'invalid_since') {
      lostState = true;
      log.start(null);
      hooks.join(stream);
    } else if (problem.retry === true) hooks.join(stream, problem.retry_after_ms ?? RETRY_MS);
    else {
      const first = state === 'joining' && waiters.length > 0;
      apart(errorOf(problem));
      if (!first) hand({ type: 'removed_from_room', room_id: id, reason: 'refused', code: problem.code });
      endQueues();
    }
  }

  function apart(why: ParleyError): void {
    state = 'apart';
    epoch++;
    log.apart(); // what is known stays: joined again, it goes on from there
    for (const waiter of waiters.splice(0)) waiter.reject(why);
  }

  function endQueues(): void {
    for (const queue of queues) queue.end();
  }

  const stream: RoomStream = {
    id,
    emitter,
    timeline,
    log,
    state: () => state,
    position: () => position,
    events(limit, signal) {
      const queue: EventQueue<RoomEvent> = createEventQueue(limit, reset, () => {
        queues.delete(queue);
        signal?.removeEventListener('abort', queue.end);
      });
      queues.add(queue);
      if (signal?.aborted) queue.end();
      else signal?.addEventListener('abort', queue.end);
      return queue;
    },
    async join(from, signal) {
      if (state === 'joined') return;
      const wanted = new Promise<void>((resolve, reject) => void waiters.push({ resolve, reject }));
      if (state === 'apart') {
        state = 'joining';
        if (from !== undefined) {
          log.start(from.rev);
          head = isNewAbove = from.seq;
          timeline.clear(from.seq);
        }
        hooks.join(stream);
      }
      return abortable(wanted, signal);
    },
    leave() {
      apart(localError('closed', 'The room was left.'));
      endQueues();
    },
    request() {
      const mine = epoch;
      const since = log.rev();
      return {
        room: since === null ? { room_id: id } : { room_id: id, since },
        answer: (answer) => {
          if (mine !== epoch) return;
          if ('code' in answer) refused(answer);
          else joined(answer);
        },
      };
    },
    synced(answer) {
      log.synced(answer);
      settle();
    },
    resync(head) {
      log.resync(head);
      settle();
    },
    refused,
    frame(frame) {
      if (state === 'apart') return;
      if (frame.rev !== undefined) {
        log.event(frame.rev, frame);
        return settle();
      }
      const event = { ...(frame.payload as object), type: frame.type, room_id: id } as Passing;
      hand(event);
      if (!FINAL.has(frame.type)) return;
      apart(errorOf({ code: 'not_found', error: frame.type }));
      endQueues();
    },
    lost() {
      if (state === 'joined') state = 'joining';
      log.apart();
    },
  };
  return stream;
}
