import { type Codec, type Frame, json } from './codec.js';
import { createConnection, type Welcome } from './connection.js';
import { createEmitter, type Off } from './emitter.js';
import { errorOf, isRetryable, ParleyError, type Problem } from './errors.js';
import type { RoomEvent } from './events.js';
import { type CallOptions, createHttp, type Http, type TokenProvider } from './http.js';
import { createOutbox, type Outgoing } from './outbox.js';
import { MemoryStore, type OutboxStore } from './outbox-stores.js';
import { createRoom, type Room, type RoomParts } from './room.js';
import type { Joined, Synced } from './room-log.js';
import { createRoomStream, type RoomStream } from './room-stream.js';
import type { WebSocketClass } from './socket.js';
import { createSyncs } from './syncs.js';
import type { Ack, MyRoom, RoomInfo } from './types.js';
import { abortable, type BackoffOptions, backoffMs, sleep } from './waiting.js';

export interface ClientOptions {
  /** Where the server is: `https://chat.example.org`. */
  readonly url: string;
  /** Gives access tokens: that of a session of `createSession`, or your own. */
  readonly token: TokenProvider;
  /** `json`, or what `msgpack` makes. */
  readonly codec?: Codec;
  /** Where unsent messages live; memory by default. */
  readonly store?: OutboxStore;
  /** The class to use where there is no global one: that of the package ws in Node 20. */
  readonly WebSocket?: unknown;
  readonly fetch?: typeof fetch;
  readonly backoff?: BackoffOptions;
  readonly heartbeatMs?: number;
  /** How long an answer may take. */
  readonly timeoutMs?: number;
  /** Messages that a timeline holds. */
  readonly timelineLimit?: number;
  /** Messages that may wait to be sent. */
  readonly outboxLimit?: number;
}

export interface ClientEvents {
  /** A connection is there, and all rooms are being resumed. */
  connected: Welcome;
  /** It was lost; the next attempt comes by itself. */
  disconnected: { code: number; retryInMs: number };
  /** The session has ended: nothing is tried any more until `connect`. */
  signedOut: ParleyError;
  /** You were added to a room, or joined or made it yourself, here or on another device. */
  room_added: { room_id: string; room: MyRoom | RoomInfo };
  /** Any event of any joined room. */
  room: RoomEvent;
  /** What the server tells of other rooms, or of none: `removed_from_room`, presence, whatever a later server knows. */
  notice: { type: string; room_id?: string; [member: string]: unknown };
  /** A message on its way changed its state. */
  outgoing: Outgoing;
  /** What nobody waits for: a refusal without a request, a store or a token provider that fails. */
  error: unknown;
}

export interface Client {
  readonly http: Http;
  readonly connected: () => boolean;
  /** Connects, and stays connected until `close`. Resolves with the first connection. */
  readonly connect: (options?: CallOptions) => Promise<void>;
  /** Lets go of connection and timers; what is unsent stays in the store. */
  readonly close: () => void;
  /** The room's one handle. */
  readonly room: (id: string) => Room;
  /** All that isn't sent, in order. */
  readonly outbox: () => Outgoing[];
  readonly on: <T extends keyof ClientEvents>(type: T, fn: (event: ClientEvents[T]) => void) => Off;
}

const TIMELINE_LIMIT = 2_000; // messages: what a person scrolls through, some megabytes
const OUTBOX_LIMIT = 1_000;
const RESUME_ROOMS = 500; // in one frame, unless the server says less

export function createClient(options: ClientOptions): Client {
  const { timelineLimit = TIMELINE_LIMIT, outboxLimit = OUTBOX_LIMIT } = options;
  const emitter = createEmitter<ClientEvents>();
  const http = createHttp(options);
  const rooms = new Map<string, RoomParts>();
  const leaving = new Map<string, Promise<void>>(); // asked and not answered

  const connection = createConnection(
    {
      ...options,
      wsUrl: `${http.base.replace(/^http/, 'ws')}/ws`,
      codec: options.codec ?? json,
      WebSocket: webSocketOf(options),
    },
    {
      ready: (welcome) => {
        resumeAll(welcome.limits?.resume_rooms ?? RESUME_ROOMS);
        outbox.flush();
        emitter.emit('connected', welcome);
      },
      lost: (why) => {
        for (const { stream } of rooms.values()) stream.lost();
        emitter.emit('disconnected', why);
      },
      signedOut: (why) => {
        for (const { stream } of rooms.values()) stream.lost();
        emitter.emit('signedOut', why);
      },
      failed: (error) => emitter.emit('error', error),
      frame: receive,
    },
  );
  const connected = (): boolean => connection.state() === 'ready';

  const outbox = createOutbox({
    store: options.store ?? new MemoryStore(),
    limit: outboxLimit,
    backoff: options.backoff,
    connected,
    send: async ({ id, room_id, body }) =>
      (await ask({ type: 'send_message', room_id, payload: { id, ...body } })) as Ack,
    changed: (outgoing) => {
      rooms.get(outgoing.room_id)?.outgoing(outgoing);
      emitter.emit('outgoing', outgoing);
    },
    storeFailed: (error) => emitter.emit('error', error),
  });

  const sync = createSyncs((room_id, payload, take) =>
    connection.request({ type: 'sync', room_id, payload }, (answer) => {
      take(answer.payload as Synced);
      return true;
    }),
  );

  async function ask(frame: Frame): Promise<unknown> {
    let payload: unknown;
    await connection.request(frame, (answer) => {
      payload = answer.payload;
      return true;
    });
    return payload;
  }

  /** Repeats what may be repeated until it is answered. */
  async function command(frame: Frame, { signal }: CallOptions = {}): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      await connection.whenReady(signal);
      try {
        return await abortable(ask(frame), signal);
      } catch (error) {
        if (!isRetryable(error)) throw error;
        await sleep(error.retryAfterMs ?? backoffMs(attempt, options.backoff), signal);
      }
    }
  }

  function resumeAll(roomsMax: number): void {
    const wanted = [...rooms.values()].map(({ stream }) => stream).filter((each) => each.state() !== 'apart');
    while (wanted.length > 0) resume(wanted.splice(0, roomsMax));
  }

  /** One frame of `resume`; the server may answer in several. */
  function resume(streams: readonly RoomStream[]): void {
    const asked = new Map(streams.map((stream) => [stream.id, stream.request()]));
    connection
      .request(
        { type: 'resume', payload: { rooms: [...asked.values()].map(({ room }) => room) } },
        (frame) => {
          const answer = frame.payload as {
            rooms: (Joined | (Problem & { room_id: string }))[];
            last: boolean;
          };
          for (const room of answer.rooms) {
            asked.get(room.room_id)?.answer(room);
            asked.delete(room.room_id);
          }
          return answer.last;
        },
      )
      .catch((error: unknown) => {
        if (error instanceof ParleyError && error.code === 'disconnected') return;
        const problem = { ...problemOf(error), retry: true }; // of the frame, not of a room
        for (const [room_id, { answer }] of asked) answer({ ...problem, room_id });
      });
  }

  function join(stream: RoomStream, delayMs = 0): void {
    if (delayMs > 0) return void setTimeout(() => stream.state() !== 'apart' && join(stream), delayMs);
    if (!connected()) return; // resumed with the others
    const left = leaving.get(stream.id);
    // The answers of one room may overtake one another: a join waits for the leave before it.
    if (left !== undefined) return void left.then(() => stream.state() === 'joining' && join(stream));
    const { room, answer } = stream.request();
    const { room_id, ...payload } = room;
    connection
      .request({ type: 'join_room', room_id, payload }, (frame) => {
        answer(frame.payload as Joined);
        return true;
      })
      .catch((error: unknown) => {
        if (error instanceof ParleyError && error.code === 'disconnected') return;
        answer({ ...problemOf(error), room_id });
      });
  }

  function leave(room_id: string): void {
    const left = connection
      .request({ type: 'leave_room', room_id })
      .catch(() => undefined) // not connected: not joined either
      .finally(() => leaving.get(room_id) === left && leaving.delete(room_id));
    leaving.set(room_id, left);
  }

  function receive(frame: Frame): void {
    const { type, room_id } = frame;
    const payload = frame.payload as Record<string, unknown>;
    if (type === 'resync') {
      for (const { room_id: id, head_rev } of payload.rooms as { room_id: string; head_rev: number }[]) {
        rooms.get(id)?.stream.resync(head_rev);
      }
    } else if (type === 'room_added') {
      const { room } = payload as { room: RoomInfo };
      emitter.emit('room_added', { room, room_id: room.id });
    } else if (type === 'error') emitter.emit('error', errorOf(payload as unknown as Problem));
    else if (frame.rev === undefined && !isHeard(room_id)) {
      emitter.emit('notice', { ...payload, type, ...(room_id ? { room_id } : {}) });
    } else rooms.get(room_id ?? '')?.stream.frame(frame);
  }

  function isHeard(room_id = ''): boolean {
    return (rooms.get(room_id)?.stream.state() ?? 'apart') !== 'apart';
  }

  function roomOf(id: string): RoomParts {
    const known = rooms.get(id);
    if (known !== undefined) return known;
    const stream = createRoomStream(id, timelineLimit, {
      join,
      sync,
      joined: ({ last_read_seq }) => parts.readMark.known(last_read_seq),
      handed: (event) => {
        if (event.type === 'new_message') parts.typing.wrote(event.message.user_id);
        else if (!('rev' in event)) parts.typing.heard(event);
        emitter.emit('room', event);
      },
    });
    const parts: RoomParts = createRoom(stream, { http, outbox, command, leave, tell: connection.tell });
    rooms.set(id, parts);
    return parts;
  }

  return {
    http,
    connected,
    connect: async ({ signal } = {}) => {
      void outbox.load();
      connection.start();
      await connection.whenReady(signal);
    },
    close: () => {
      connection.stop();
      outbox.stop();
      for (const { stream, room } of rooms.values()) {
        room.stopTyping();
        stream.leave();
      }
    },
    room: (id) => roomOf(id).room,
    outbox: () => outbox.list(),
    on: emitter.on,
  };
}

function webSocketOf(options: ClientOptions): WebSocketClass {
  const known = options.WebSocket ?? globalThis.WebSocket;
  if (typeof known !== 'function')
    throw new TypeError('No WebSocket here: give the class of the package ws.');
  return known as WebSocketClass;
}

function problemOf(error: unknown): Problem {
  if (!(error instanceof ParleyError)) throw error;
  return {
    code: error.code,
    error: error.message,
    retry: error.retry,
    retry_after_ms: error.retryAfterMs ?? undefined,
  };
}
