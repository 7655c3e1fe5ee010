import type { Config } from '../config.js';
import type { Caller } from '../ipc/messages.js';
import { createLimiter, type Limiter } from '../lib/rate-limits.js';
import { wallClockMs } from '../lib/wall-clock.js';
import { type CloseReason, Refusal } from '../protocol/errors.js';
import { answer, BadFrame, type ClientFrame, errorFrame, type ServerFrame } from '../protocol/frames.js';
import { shardOf } from '../protocol/ids.js';
import type { ResumePayload } from '../protocol/requests.js';
import type { FrontMetrics } from './ports.js';
import type { FrameRequest, ShardLinks } from './shard-links.js';
import { reaches, type Socket } from './socket.js';

const REFUSED_SENDS = { limit: 100, windowMs: 10_000 }; // PROTOCOL §3, close 4008
/** The frames that make a shard read the log: a socket may have so many under way. */
const READS: ReadonlySet<ClientFrame['type']> = new Set(['join_room', 'resume', 'sync']);
const READS_AT_ONCE_MAX = 256; // that one socket can't spend a shard's credit

/** Rooms that one socket may have joined or be about to: each costs some kilobytes, in the front and in a shard. */
const SUBSCRIPTIONS_MAX = 2_000;

/** The frames that WS_SENDS_PER_SECOND counts: each is a commit. */
const WRITES: ReadonlySet<ClientFrame['type']> = new Set([
  'send_message',
  'edit_message',
  'delete_message',
  'add_reaction',
  'remove_reaction',
]);
/** Sends over the limit that a socket may have under way: each is looked up, as it may repeat an accepted one. */
const OVER_AT_ONCE_MAX = REFUSED_SENDS.limit;

/** The frames that cost little each, and come often. */
const SIGNALS: ReadonlySet<ClientFrame['type']> = new Set([
  'mark_read',
  'user_typing',
  'user_stopped_typing',
]);
/** For a user: more than people cause by typing, and as many at once as a "mark all as read" sends. */
const SIGNAL_RATE = { perSecond: 50, burst: 500 };
/** For a user, of all other frames: more than a client sends that joins each of its rooms by a frame of its own. */
const COMMAND_RATE = { perSecond: 100, burst: 1_000 };

type Asked = Omit<FrameRequest, 't' | 'id'>;

/** Commands of authenticated sockets on their way to the shards, and what is kept of those under way. */
export interface Requests {
  /** Sends a command to the shard it belongs to, within the limits. @throws BadFrame */
  command(socket: Socket, frame: ClientFrame, caller: Caller): void;
  /** Counts a frame that the front answers itself. False where it is one too many, which has been said. */
  admit(socket: Socket, frame: ClientFrame): boolean;
  /** A command was answered (with an `error`: `failed`). */
  answered(socket: Socket, request: FrameRequest, failed: boolean): void;
  /** Counts a send refused by a limit; too many close the socket. */
  countRefused(socket: Socket): void;
}

export function createRequests(deps: {
  readonly config: Config;
  readonly links: () => ShardLinks;
  readonly limited: FrontMetrics['limited'];
  readonly send: (socket: Socket, frame: ServerFrame) => void;
  readonly close: (socket: Socket, reason: CloseReason) => void;
}): Requests {
  const { send, close } = deps;
  const { wsSendsPerSecond } = deps.config.limits;
  const sends = createLimiter({ perSecond: wsSendsPerSecond, burst: wsSendsPerSecond * 2 });
  const signals = createLimiter(SIGNAL_RATE);
  const others = createLimiter(wsSendsPerSecond === 0 ? { perMinute: 0 } : COMMAND_RATE);
  let lastResume = 0;

  function limiterOf(type: ClientFrame['type']): Limiter {
    if (WRITES.has(type)) return sends;
    return SIGNALS.has(type) ? signals : others;
  }

  function refuse(socket: Socket, frame: ClientFrame, wait: number): void {
    send(socket, errorFrame(frame, new Refusal('rate_limited', { retryAfterMs: wait })));
    countRefused(socket);
  }

  function admit(socket: Socket, frame: ClientFrame): boolean {
    const wait = others.take(socket.caller?.user_id ?? String(socket.conn));
    if (wait === 0) return true;
    deps.limited('sends');
    refuse(socket, frame, wait);
    return false;
  }

  function command(socket: Socket, frame: ClientFrame, caller: Caller): void {
    const wait = limiterOf(frame.type).take(caller.user_id);
    const over = wait === 0 ? null : { retry_after_ms: wait };
    if (over !== null) {
      deps.limited('sends');
      if (frame.type !== 'send_message' || socket.over >= OVER_AT_ONCE_MAX)
        return refuse(socket, frame, wait);
      socket.over++;
    }
    if (READS.has(frame.type) && socket.reading >= READS_AT_ONCE_MAX) {
      deps.limited('reads');
      return send(socket, errorFrame(frame, 'overloaded'));
    }
    if (socket.rooms.size + socket.joining + roomsJoinedBy(frame) > SUBSCRIPTIONS_MAX) {
      const sentence = `A socket joins at most ${SUBSCRIPTIONS_MAX} rooms.`;
      send(socket, errorFrame(frame, new Refusal('quota_exceeded', { sentence })));
      return countRefused(socket);
    }
    const links = deps.links();
    // Members by name, here and in sendFrame: objects made by spreading have a shape of their own each, which costs
    // some 7 % of the front's time.
    const asked: Asked = {
      conn: socket.conn,
      caller,
      enc: socket.enc,
      type: frame.type,
      room_id: frame.room_id,
      ref: frame.ref,
      payload: frame.payload,
      over,
      at: wallClockMs(),
      resume: null,
    };
    if (frame.type === 'resume') return resume(socket, asked);
    const home = frame.room_id ?? (frame.payload as { message_id?: string }).message_id ?? caller.user_id;
    if (READS.has(frame.type)) socket.reading++;
    socket.joining += roomsJoinedBy(frame);
    links.frame(shardOf(home, links.shards), asked);
  }

  /** Each shard answers for its rooms; when all have, an empty answer with `last` ends the resume. */
  function resume(socket: Socket, asked: Asked): void {
    const links = deps.links();
    const byShard = new Map<number, ResumePayload['rooms']>();
    const { rooms } = asked.payload as ResumePayload;
    if (new Set(rooms.map((room) => room.room_id)).size < rooms.length) {
      throw new BadFrame(asked.ref, { field: 'rooms', sentence: 'rooms names a room twice.' });
    }
    for (const room of rooms) {
      const shard = shardOf(room.room_id, links.shards);
      const rooms = byShard.get(shard);
      if (rooms === undefined) byShard.set(shard, [room]);
      else rooms.push(room);
    }
    if (byShard.size === 0) return send(socket, answer('resumed', asked, { rooms: [], last: true }));
    const resume = ++lastResume;
    socket.resuming.set(resume, { ref: asked.ref, left: byShard.size, failed: false });
    for (const [shard, rooms] of byShard) {
      socket.reading++;
      socket.joining += rooms.length;
      links.frame(shard, { ...asked, room_id: null, payload: { rooms }, resume });
    }
  }

  /** The last part to come ends the resume; where one has failed, its `error` has. */
  function resumedPart(socket: Socket, request: FrameRequest, failed: boolean): void {
    const under = request.resume === null ? undefined : socket.resuming.get(request.resume);
    if (under === undefined || request.resume === null) return;
    under.failed ||= failed;
    if (--under.left > 0) return;
    socket.resuming.delete(request.resume);
    if (!under.failed) send(socket, answer('resumed', under, { rooms: [], last: true }));
  }

  function answered(socket: Socket, request: FrameRequest, failed: boolean): void {
    if (request.type === 'send_message' && request.over !== null) socket.over--;
    if (!READS.has(request.type)) return;
    socket.reading--;
    socket.joining -= roomsJoinedBy(request);
    if (request.type === 'resume') resumedPart(socket, request, failed);
  }

  function countRefused(socket: Socket): void {
    if (reaches(socket.refused, performance.now(), REFUSED_SENDS.limit, REFUSED_SENDS.windowMs))
      close(socket, 'flooding');
  }

  return { command, admit, answered, countRefused };
}

/** How many rooms a command joins. */
function roomsJoinedBy({ type, payload }: Pick<ClientFrame, 'type' | 'payload'>): number {
  if (type === 'join_room') return 1;
  return type === 'resume' ? (payload as ResumePayload).rooms.length : 0;
}
