import { gathered } from '../lib/gathered.js';
import { type Problem, Refusal } from '../protocol/errors.js';
import type { Encoding } from '../protocol/frames.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Message, Role } from '../protocol/model.js';
import { SYNC_LIMIT_MAX } from '../protocol/requests.js';
import { createJoinSlots } from './join-slots.js';
import { LogUnavailable } from './log-errors-port.js';
import type { AskedAfter, MessageLog, MessagesAfter } from './ports.js';
import type { JoinReader, JoinState } from './reading-port.js';
import { canRead, enforce } from './rules.js';
import type { Hold, Sequencer } from './sequencer.js';

/**
 * Joining, resuming and syncing: where a socket's stream meets the log without a gap or an overlap.
 *
 * The room is held, then read; the read covers the log up to R. What the sequencer published meanwhile (up to
 * P ≥ R) is laid over it, and the answer says head_rev = P in the same turn in which the subscription is
 * granted. So the answer is the state at P and the topic goes on with P + 1.
 */
const ANSWER_BYTES_MAX = 256 * 1024; // of messages in one answer; the rest comes by `sync` (bounded queues, I11)
const ROOMS_AT_ONCE = 8; // reads of one resume under way together
const JOINS_AT_ONCE = 128; // their reads go together, and so do their answers' memory; the rest waits without having begun
const JOINS_OF_A_USER_AT_ONCE = 3; // one less than a shard has connections: nobody fills them all by himself
const PAGES_AT_ONCE = 32; // of messages, read by one statement: 8 MB where all are full
const STATES_AT_ONCE = 256; // read by one statement; who resumes more rooms has one to himself
const TURN_WITHIN_MS = 1_000; // half of what a request may take: then it is refused rather than begun in vain

/** The payload of `joined`. */
export interface Joined {
  readonly room_id: RoomId;
  readonly role: Role;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly last_read_seq: number;
  readonly unread_count: number;
  readonly messages?: readonly Message[];
  readonly next_since?: number;
  readonly more?: boolean;
}

export interface Synced {
  readonly messages: readonly Message[];
  readonly head_rev: number;
  readonly next_since: number;
  readonly more: boolean;
}

export interface JoinRequest {
  readonly room_id: RoomId;
  readonly since?: number | undefined;
}

export type JoinOutcome = Joined | ({ readonly room_id: RoomId } & Problem);

/** What joins came to, and the states of the rooms as they were read. */
export type JoinDone = (outcomes: readonly JoinOutcome[], states: ReadonlyMap<RoomId, JoinState>) => void;

/** Who joins. */
export interface Joiner {
  readonly user_id: UserId;
  readonly encoding: Encoding;
  /** False once the request was answered otherwise: nothing may be granted any more. */
  readonly waiting: () => boolean;
}

export interface Joins {
  /**
   * Joins rooms for one socket. `done` is called once, in the turn in which the outcomes hold and the
   * subscriptions are granted: what it sends goes before the next event. `states`: of the rooms, as they were read.
   */
  join(who: Joiner, requests: readonly JoinRequest[], done: JoinDone): Promise<void>;
  /**
   * A user (null: everybody) may not read the room any more: joins under way end in `not_found`, unless by a
   * membership that began after `before_ms`.
   */
  revoke(room_id: RoomId, user_id: UserId | null, before_ms?: number): void;
  readonly totals: Readonly<Record<'joined' | 'resumed' | 'replayed', number>>;
  /** @throws Refusal; `overloaded` where its turn doesn't come in time */
  sync(user_id: UserId, room_id: RoomId, since: number, limit: number): Promise<Synced>;
}

/** A room that is read and can be joined as soon as everything is. */
interface Prepared {
  readonly state: JoinState & { readonly role: Role };
  readonly hold: Hold;
  /** The log after `since` up to `rev`; null where the client has no state yet. */
  readonly read: { messages: readonly Message[]; rev: number; more: boolean } | null;
}

/** A request under way; `rooms` say up to when memberships have been revoked meanwhile. */
interface Joining {
  readonly who: Joiner;
  readonly rooms: Map<RoomId, number>;
}

export function createJoins(
  reader: JoinReader,
  log: Pick<MessageLog, 'messagesAfter'>,
  sequencer: Pick<Sequencer, 'hold'>,
): Joins {
  const underWay = new Set<Joining>();
  const totals = { joined: 0, resumed: 0, replayed: 0 };
  const slots = createJoinSlots({
    atOnce: JOINS_AT_ONCE,
    ofUserAtOnce: JOINS_OF_A_USER_AT_ONCE,
    waitMs: TURN_WITHIN_MS,
    late: () => new Refusal('overloaded', { retryAfterMs: 1_000 }),
  });

  const joinStates = gathered<{ user_id: UserId; room_id: RoomId }, JoinState | null>(
    (asked) => reader.joinStates(asked),
    STATES_AT_ONCE,
  );
  const statesOf = (user_id: UserId, rooms: readonly RoomId[]) =>
    joinStates(rooms.map((room_id) => ({ user_id, room_id })));

  const messagesAfter = gathered<AskedAfter, MessagesAfter>(
    (asked) => log.messagesAfter(asked, SYNC_LIMIT_MAX),
    PAGES_AT_ONCE,
  );

  async function read(room_id: RoomId, since: number, limit: number, budget: { bytes: number }) {
    // What the answer has no place for isn't read: a page of the largest messages is forty times one answer.
    const asked = [{ room_id, rev: since, bytes: Math.max(1, budget.bytes) }];
    const [page] = await (limit === SYNC_LIMIT_MAX ? messagesAfter(asked) : log.messagesAfter(asked, limit));
    if (page === undefined) throw new Error('a read without its answer');
    const { head, messages: found, more } = page;
    if (head === null) throw new Refusal('not_found');
    if (since > head.head_rev) throw new Refusal('invalid_since');
    const messages: Message[] = [];
    for (const message of found) {
      if (budget.bytes <= 0) break;
      budget.bytes -= sizeOf(message);
      messages.push(message);
    }
    return { head, messages, more: more || messages.length < found.length };
  }

  async function prepare(
    request: JoinRequest,
    state: JoinState | null,
    hold: Hold,
    budget: { bytes: number },
  ): Promise<Prepared> {
    const { role } = readable(state);
    const known = { ...readable(state), role };
    const { since } = request;
    if (since !== undefined && since > known.head_rev) throw new Refusal('invalid_since');
    let covered: Prepared['read'] = null;
    let { head_rev, head_seq } = known;
    if (since !== undefined) {
      if (budget.bytes <= 0) covered = { messages: [], rev: known.head_rev, more: since < known.head_rev };
      else if (since === known.head_rev) covered = { messages: [], rev: since, more: false };
      else {
        const { head, messages, more } = await read(request.room_id, since, SYNC_LIMIT_MAX, budget);
        covered = { messages, rev: head.head_rev, more };
        ({ head_rev, head_seq } = head);
      }
    }
    hold.opened({ room_id: request.room_id, head_rev, head_seq });
    if (since !== undefined && !hold.covers(head_rev)) {
      const { head, messages, more } = await read(request.room_id, since, SYNC_LIMIT_MAX, budget);
      covered = { messages, rev: head.head_rev, more };
      head_rev = head.head_rev;
    }
    await hold.reached(head_rev);
    return { state: known, hold, read: covered };
  }

  async function joinNow(
    { who, rooms }: Joining,
    requests: readonly JoinRequest[],
    done: JoinDone,
  ): Promise<void> {
    const ids = requests.map(({ room_id }) => room_id);
    const holds = ids.map((room_id) => sequencer.hold(room_id));
    try {
      const states = await statesOf(who.user_id, ids);
      const prepared: (Prepared | Refusal)[] = [];
      const budget = { bytes: ANSWER_BYTES_MAX };
      for (let from = 0; from < requests.length; from += ROOMS_AT_ONCE) {
        const some = requests.slice(from, from + ROOMS_AT_ONCE).map((request, i) => {
          const hold = holds[from + i];
          if (hold === undefined) throw new Error('a request without its hold');
          return prepare(request, states[from + i] ?? null, hold, budget).catch(refusalOf);
        });
        prepared.push(...(await Promise.all(some)));
      }
      if (!who.waiting()) return;
      const outcomes = requests.map((request, i): JoinOutcome => {
        const room = prepared[i];
        try {
          if (room === undefined || room instanceof Refusal) throw room ?? new Refusal('internal');
          const revokedMs = rooms.get(request.room_id) ?? Number.POSITIVE_INFINITY;
          if (room.state.joined_ms <= revokedMs) throw new Refusal('not_found');
          const joined = finish(request, room, who.encoding);
          totals[request.since === undefined ? 'joined' : 'resumed']++;
          totals.replayed += joined.messages?.length ?? 0;
          return joined;
        } catch (error) {
          return { room_id: request.room_id, ...refusalOf(error).problem };
        }
      });
      done(outcomes, new Map(states.flatMap((state) => (state ? [[state.room_id, state]] : []))));
    } finally {
      for (const hold of holds) hold.end();
    }
  }

  return {
    totals,

    async join(who, requests, done) {
      const joining: Joining = {
        who,
        rooms: new Map(requests.map(({ room_id }) => [room_id, Number.NEGATIVE_INFINITY])),
      };
      underWay.add(joining);
      try {
        await slots.run(who.user_id, () => joinNow(joining, requests, done));
      } finally {
        underWay.delete(joining);
      }
    },

    revoke(room_id, user_id, before_ms = Number.POSITIVE_INFINITY) {
      for (const { who, rooms } of underWay) {
        const revokedMs = rooms.get(room_id);
        if (revokedMs === undefined || (user_id !== null && who.user_id !== user_id)) continue;
        rooms.set(room_id, Math.max(revokedMs, before_ms));
      }
    },

    sync: (user_id, room_id, since, limit) =>
      slots.run(user_id, async () => {
        const [state] = await statesOf(user_id, [room_id]);
        readable(state ?? null);
        const { head, messages, more } = await read(room_id, since, limit, { bytes: ANSWER_BYTES_MAX });
        totals.replayed += messages.length;
        const last = messages.at(-1)?.rev ?? since;
        return { messages, head_rev: head.head_rev, next_since: more ? last : head.head_rev, more };
      }),
  };
}

function readable(state: JoinState | null): JoinState & { readonly role: Role } {
  if (state === null) throw new Refusal('not_found');
  enforce(canRead({ ...state, muted_until: null }));
  const { role } = state;
  if (role === null) throw new Refusal('not_a_member');
  return { ...state, role };
}

/** Runs without a pause from the sequencer's state to the grant. */
function finish(request: JoinRequest, room: Prepared, encoding: Encoding): Joined {
  const { hold, read, state } = room;
  const now = hold.state();
  let changes: Pick<Joined, 'messages' | 'next_since' | 'more'> = {};
  if (read?.more === true) {
    const next_since = read.messages.at(-1)?.rev ?? request.since ?? 0;
    changes = { messages: read.messages, next_since, more: true };
  } else if (read !== null) {
    const latest = new Map(read.messages.map((message) => [message.id, message]));
    for (const event of hold.eventsAfter(read.rev)) latest.set(event.message.id, event.message);
    const all = [...latest.values()].sort((a, b) => a.rev - b.rev);
    const messages = cut(all);
    const more = messages.length < all.length;
    const next_since = more ? (messages.at(-1)?.rev ?? request.since ?? 0) : now.head_rev;
    changes = { messages, next_since, more };
  }
  hold.grant(encoding);
  return {
    room_id: request.room_id,
    role: state.role,
    head_seq: now.head_seq,
    head_rev: now.head_rev,
    last_read_seq: state.last_read_seq,
    unread_count: Math.max(0, now.head_seq - state.last_read_seq),
    ...changes,
  };
}

/** As many of the messages as one answer takes. */
function cut(messages: readonly Message[]): readonly Message[] {
  let bytes = ANSWER_BYTES_MAX;
  const taken = messages.slice(0, SYNC_LIMIT_MAX);
  const end = taken.findIndex((message) => {
    const full = bytes <= 0;
    bytes -= sizeOf(message);
    return full;
  });
  return end === -1 ? taken : taken.slice(0, end);
}

/** Encoded bytes, about: 700 for the members of fixed size, 40 for an id, 100 for an emoji and its count. */
function sizeOf({ content, metadata, mentions, reactions }: Message): number {
  const extra = Object.keys(metadata).length === 0 ? 0 : JSON.stringify(metadata).length;
  const reacted = reactions.reduce((bytes, { user_ids }) => bytes + 100 + user_ids.length * 40, 0);
  return 700 + content.length * 2 + extra + mentions.length * 40 + reacted;
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof LogUnavailable) return new Refusal('unavailable');
  throw error;
}
