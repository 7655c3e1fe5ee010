import { withDeadline } from '../lib/deadline.js';
import { Refusal } from '../protocol/errors.js';
import type { Encoding } from '../protocol/frames.js';
import type { RoomId } from '../protocol/ids.js';
import { type LogEvent, rebuildEvents } from './events.js';
import type { MessageLog, RoomHead } from './ports.js';

/**
 * The only place from which a room's log events leave for its topics: strictly in rev order, each once.
 * A room is tracked while sockets of this process have joined it or are about to.
 *
 *   untracked ──hold──► opening ──opened(head)──► in order ◄──filled, or skipped── waiting for a gap
 *       ▲                                            │  ▲                                 ▲
 *       └──────── last grant and hold gone ──────────┘  └── rev = position+1              │ rev beyond, or a head beyond
 *
 * A gap (a change of another node, or of a shard that crashed) waits GAP_WAIT_MS for the missing event, then
 * is read from the log. While the log can't be read for longer than sockets may go without knowing, they are told to
 * sync, and the stream goes on behind the gap. Heads of tracked rooms are polled, so that a change nobody told of is found as well: now and
 * then while other nodes can tell, at short intervals while they can't.
 */
const GAP_WAIT_MS = 100; // DESIGN §2
const FILL_RETRY_MS = 250; // while the database is away
const UNFILLED_MAX_MS = 8_000; // with what goes before and after, a socket knows within 10 s that it missed something (I10)
const FILL_MAX = 1_000; // revs: a longer gap is not replayed: sockets are told to sync
const POLL_EVERY_MS = 500;
const HEADS_MAX = 1_000; // rooms asked for in one statement
const POLL_AFTER_MS = 9_000; // since a room's head was last seen: with the gap's wait found within 10 s (I10)
const POLL_AFTER_UNTOLD_MS = 1_300; // while nobody can tell: found within 2 s (DESIGN §2)
const EARLY_MAX = 2_000; // events of a room kept behind a gap; what is dropped is read from the log with the gap
const COLLECTED_MAX = 2_000; // events kept for one join; a slower one has to be asked for again
const POLL_TIMEOUT_MS = 2_000; // one that hangs (a connection that went silent) must not keep the next ones waiting
const REACH_TIMEOUT_MS = 2_000;

export interface EventSink {
  /** Encodes and sends an event to the room's topics. */
  publish(event: LogEvent, listeners: Readonly<Record<Encoding, number>>): void;
  /** Revs up to `rev` can't be replayed, or not in time: the room's sockets have to sync. */
  resync(room_id: RoomId, rev: number): void;
}

interface HoldMark {
  first: number;
  /** It has missed events: its join has to be asked for again. */
  broken: boolean;
}

interface Tracked {
  readonly room_id: RoomId;
  /** The last rev that was published; null while opening. */
  position: number | null;
  headSeq: number;
  readonly listeners: Record<Encoding, number>;
  readonly early: Map<number, LogEvent>;
  /** The highest rev known to exist. */
  target: number;
  timer: NodeJS.Timeout | null;
  /** Since when the stream stands before a gap (monotonic ms); null: it doesn't. */
  gapSince: number | null;
  /** When the head was last asked for (monotonic ms). */
  polledAt: number;
  /** Joins under way, each with where in `collected` it began. */
  readonly holds: Set<HoldMark>;
  /** The rev at which it was opened: nothing before is ever published. */
  openedAt: number;
  /** What was published while somebody holds. */
  collected: LogEvent[];
  waiters: { readonly rev: number; readonly resolve: () => void }[];
}

/** A room that is being joined: it stays tracked, and what is published meanwhile is kept. */
export interface Hold {
  /** Says how the log stood in a read made after the hold began; the first one starts the room. */
  opened(head: RoomHead): void;
  /**
   * Whether `eventsAfter(rev)` is complete. Not for a read that lies behind the one that opened the room:
   * it has to be read again. Ask after `opened`.
   */
  covers(rev: number): boolean;
  /** Resolves once everything up to `rev` is published. @throws Refusal `unavailable` after 2 s */
  reached(rev: number): Promise<void>;
  /** Published so far. Good until the caller next awaits. Ask after `reached`. */
  state(): { readonly head_rev: number; readonly head_seq: number };
  /** The events after `rev` published since the hold began. @throws Refusal `overloaded` when too many */
  eventsAfter(rev: number): readonly LogEvent[];
  grant(encoding: Encoding): void;
  end(): void;
}

export interface Sequencer {
  /** Takes committed events: this node's from the batch writer, others' from the bus. */
  offer(events: readonly LogEvent[]): void;
  hold(room_id: RoomId): Hold;
  /** Ends one subscription that a grant began. */
  release(room_id: RoomId, encoding: Encoding): void;
  /** After a restart: rooms that sockets have joined, and what these have seen. */
  restore(rooms: readonly { room_id: RoomId; rev: number; json: number; msgpack: number }[]): void;
  listeners(room_id: RoomId): Readonly<Record<Encoding, number>>;
  close(): void;
  /** `pollsHealed`: times that a poll found what nobody had told of. */
  readonly totals: { gapsFilled: number; polls: number; pollsHealed: number; trackedRooms(): number };
}

/** Keeps an event for the joins under way, for each a bounded number. */
function collect(room: Tracked, event: LogEvent): void {
  room.collected.push(event);
  if (room.collected.length <= COLLECTED_MAX) return;
  for (const hold of room.holds) {
    if (room.collected.length - hold.first <= COLLECTED_MAX) continue;
    hold.broken = true;
    hold.first = room.collected.length;
  }
  trim(room);
}

/** Drops what no join under way needs any more. */
function trim(room: Tracked): void {
  const needed = Math.min(room.collected.length, ...Array.from(room.holds, (hold) => hold.first));
  if (needed === 0) return;
  room.collected.splice(0, needed);
  for (const hold of room.holds) hold.first -= needed;
}

/** Forgets the events that wait and have become part of what is published or skipped. */
function dropEarly(room: Tracked): void {
  for (const rev of room.early.keys()) if (rev <= (room.position ?? 0)) room.early.delete(rev);
}

/** @param toldOfChanges whether other nodes' changes arrive by themselves at the moment */
export function createSequencer(
  log: Pick<MessageLog, 'changesAfter' | 'heads'>,
  sink: EventSink,
  report: (error: unknown) => void,
  toldOfChanges: () => boolean = () => true,
): Sequencer {
  const rooms = new Map<RoomId, Tracked>();
  const totals = { gapsFilled: 0, polls: 0, pollsHealed: 0, trackedRooms: () => rooms.size };

  function track(room_id: RoomId): Tracked {
    const tracked: Tracked = {
      room_id,
      position: null,
      headSeq: 0,
      listeners: { json: 0, msgpack: 0 },
      early: new Map(),
      target: 0,
      timer: null,
      gapSince: null,
      polledAt: performance.now() - Math.random() * POLL_AFTER_MS, // many that are joined at once aren't polled at once
      holds: new Set(),
      openedAt: 0,
      collected: [],
      waiters: [],
    };
    rooms.set(room_id, tracked);
    return tracked;
  }

  function untrackIfUnused(room: Tracked): void {
    if (room.holds.size > 0 || room.listeners.json > 0 || room.listeners.msgpack > 0) return;
    if (room.timer !== null) clearTimeout(room.timer);
    rooms.delete(room.room_id);
  }

  function publish(room: Tracked, event: LogEvent): void {
    room.position = event.rev;
    room.gapSince = null;
    if (event.type === 'new_message') room.headSeq = event.message.seq_no;
    if (room.holds.size > 0) collect(room, event);
    sink.publish(event, room.listeners);
  }

  /** Publishes what has become contiguous; waits for the rest. */
  function advance(room: Tracked): void {
    if (room.position === null) return;
    for (;;) {
      const next = room.early.get(room.position + 1);
      if (next === undefined) break;
      room.early.delete(next.rev);
      publish(room, next);
    }
    settleWaiters(room);
    if (room.position < room.target) waitForGap(room, GAP_WAIT_MS);
  }

  function settleWaiters(room: Tracked): void {
    if (room.waiters.length === 0) return;
    const position = room.position ?? -1;
    const reached = room.waiters.filter((waiter) => waiter.rev <= position);
    room.waiters = room.waiters.filter((waiter) => waiter.rev > position);
    for (const waiter of reached) waiter.resolve();
  }

  function waitForGap(room: Tracked, ms: number): void {
    room.gapSince ??= performance.now();
    room.timer ??= setTimeout(() => {
      void fill(room).then((ok) => {
        room.timer = null;
        if (ok) room.gapSince = null;
        if (rooms.get(room.room_id) !== room || room.position === null) return;
        if (room.position < room.target) waitForGap(room, ok ? GAP_WAIT_MS : FILL_RETRY_MS);
      });
    }, ms);
  }

  async function fill(room: Tracked): Promise<boolean> {
    const from = room.position;
    if (from === null || from >= room.target) return true;
    try {
      const { head, changes } = await log.changesAfter(room.room_id, from, FILL_MAX);
      if (rooms.get(room.room_id) !== room) return true;
      if (head === null)
        room.target = room.position ?? 0; // the room is gone
      else replay(room, head, rebuildEvents(room.room_id, changes));
      return true;
    } catch (error) {
      report(error);
      return false;
    }
  }

  function replay(room: Tracked, head: RoomHead, events: ReadonlyMap<number, LogEvent>): void {
    for (let rev = (room.position ?? 0) + 1; rev <= head.head_rev; rev++) {
      const event = room.early.get(rev) ?? events.get(rev);
      if (event === undefined) {
        report(new Error(`revs from ${rev} to ${head.head_rev} can't be replayed`));
        room.headSeq = Math.max(room.headSeq, head.head_seq);
        return skipTo(room, head.head_rev);
      }
      totals.gapsFilled++;
      publish(room, event);
    }
    dropEarly(room);
    advance(room);
  }

  /** The stream goes on behind `rev`; who listens has to sync. */
  function skipTo(room: Tracked, rev: number): void {
    room.position = rev;
    room.gapSince = null;
    for (const hold of room.holds) hold.broken = true;
    dropEarly(room);
    sink.resync(room.room_id, rev);
    advance(room);
  }

  /** Looked for apart from the reads that fill gaps, which may hang themselves. */
  function skipUnfilled(): void {
    const before = performance.now() - UNFILLED_MAX_MS;
    for (const room of rooms.values()) {
      if (room.gapSince === null || room.gapSince > before) continue;
      report(new Error(`revs from ${(room.position ?? 0) + 1} to ${room.target} can't be read in time`));
      skipTo(room, room.target);
    }
  }

  function noteHead(room: Tracked, rev: number): void {
    room.target = Math.max(room.target, rev);
    if (room.position !== null && room.position < room.target) waitForGap(room, GAP_WAIT_MS);
  }

  async function poll(): Promise<void> {
    const dueBefore = performance.now() - (toldOfChanges() ? POLL_AFTER_MS : POLL_AFTER_UNTOLD_MS);
    const due = [...rooms.values()].filter((room) => room.polledAt <= dueBefore);
    for (let from = 0; from < due.length; from += HEADS_MAX) {
      const some = due.slice(from, from + HEADS_MAX);
      const heads = await withDeadline(
        log.heads(some.map((room) => room.room_id)),
        POLL_TIMEOUT_MS,
        () => new Error(`no heads within ${POLL_TIMEOUT_MS} ms`),
      );
      totals.polls++;
      for (const room of some) room.polledAt = performance.now();
      for (const head of heads) {
        const room = rooms.get(head.room_id);
        if (room === undefined) continue;
        if (room.position !== null && head.head_rev > room.target && head.head_rev > room.position) {
          totals.pollsHealed++;
        }
        noteHead(room, head.head_rev);
      }
    }
  }
  let polling = false;
  const pollNow = () => {
    if (polling) return;
    polling = true;
    poll()
      .catch(report)
      .finally(() => {
        polling = false;
      });
  };
  const pollTimer = setInterval(() => {
    skipUnfilled();
    pollNow();
  }, POLL_EVERY_MS);

  function makeHold(room: Tracked): Hold {
    const mark: HoldMark = { first: room.collected.length, broken: false };
    room.holds.add(mark);
    const positionBefore = room.position;
    let headSeq = 0; // as read: the room's own isn't known after a restart or a skipped gap
    return {
      covers: (rev) => rev >= (positionBefore ?? room.openedAt),
      opened(head) {
        headSeq = head.head_seq;
        if (room.position === null) {
          room.position = head.head_rev;
          room.openedAt = head.head_rev;
          room.headSeq = head.head_seq;
          dropEarly(room);
          advance(room);
        } else noteHead(room, head.head_rev);
      },
      reached(rev) {
        if ((room.position ?? -1) >= rev) return Promise.resolve();
        return new Promise((resolve, reject) => {
          const waiter = {
            rev,
            resolve: () => {
              clearTimeout(timer);
              resolve();
            },
          };
          const timer = setTimeout(() => {
            room.waiters = room.waiters.filter((other) => other !== waiter);
            reject(new Refusal('unavailable'));
          }, REACH_TIMEOUT_MS);
          room.waiters.push(waiter);
        });
      },
      state: () => ({ head_rev: room.position ?? 0, head_seq: Math.max(room.headSeq, headSeq) }),
      eventsAfter(rev) {
        if (mark.broken) throw new Refusal('overloaded');
        return room.collected.slice(mark.first).filter((event) => event.rev > rev);
      },
      grant(encoding) {
        room.listeners[encoding]++;
      },
      end() {
        room.holds.delete(mark);
        trim(room);
        untrackIfUnused(room);
      },
    };
  }

  return {
    offer(events) {
      const touched = new Set<Tracked>();
      for (const event of events) {
        const room = rooms.get(event.room_id);
        if (room === undefined) continue;
        room.target = Math.max(room.target, event.rev);
        if (room.position !== null && event.rev === room.position + 1) publish(room, event);
        else if (room.early.size < EARLY_MAX && event.rev > (room.position ?? -1))
          room.early.set(event.rev, event);
        touched.add(room);
      }
      for (const room of touched) advance(room);
    },
    hold(room_id) {
      const room = rooms.get(room_id) ?? track(room_id);
      return makeHold(room);
    },
    release(room_id, encoding) {
      const room = rooms.get(room_id);
      if (room === undefined) return;
      room.listeners[encoding]--;
      untrackIfUnused(room);
    },
    restore(standing) {
      for (const { room_id, rev, json, msgpack } of standing) {
        const room = track(room_id);
        room.position = rev;
        room.polledAt = Number.NEGATIVE_INFINITY; // at once
        room.listeners.json = json;
        room.listeners.msgpack = msgpack;
      }
      pollNow();
    },
    listeners: (room_id) => rooms.get(room_id)?.listeners ?? { json: 0, msgpack: 0 },
    close() {
      clearInterval(pollTimer);
      for (const room of rooms.values()) if (room.timer !== null) clearTimeout(room.timer);
      rooms.clear();
    },
    totals,
  };
}
