import type { RoomId, UserId } from '../protocol/ids.js';
import type { Status, StatusChange } from '../protocol/signals.js';
import { createPresenceRooms, type RoomSink } from './presence-rooms.js';

/**
 * Who is online where. A user, over the sockets of all nodes (a node that has him counts as one):
 *
 *   absent ──connected──► unread ──status read──► present ──last socket──► lingering ──GRACE_MS──► absent
 *                         (shown offline)            ▲ ▲                       │     (offline is announced)
 *                                        chosen ─────┘ └──────connected────────┘     (nothing is)
 *
 * He is in a room from his first socket that joins it until he is absent or removed from it. Nothing is told
 * at once, but by `tick`. Other nodes are counted in by `presence-elsewhere.ts`.
 */
const GRACE_MS = 8_000; // a reconnect takes less; with a tick, offline is told within 10 s (PROTOCOL §3)
const ROOMS_PER_USER_MAX = 10_000; // a user isn't shown in more
const READ_AGAIN_MS = 5_000; // a status that was asked for and didn't come
const READ_AT_ONCE_MAX = 1_000; // statuses asked for in one message

/** What the shards are told of a tick. */
export interface StatusChanges {
  readonly online: UserId[];
  readonly away: UserId[];
  readonly offline: UserId[];
  /** When (epoch ms) each of `offline` was last seen. */
  readonly seen_ms: number[];
  /** Users without a socket since the last tick; they may come back. */
  readonly gone: UserId[];
}

export interface PresenceSink<S> extends RoomSink<S> {
  shards(changes: StatusChanges): void;
  /** Asks for what users chose to be shown as; the answer comes to `read`. */
  readStatuses(user_ids: readonly UserId[]): void;
}

/** `S`: a socket. */
export interface Presence<S> {
  /** A user's socket was authenticated; each is followed by one `disconnected`. */
  connected(user_id: UserId, username: string): void;
  /** @param at when it was, by the clock of `now`; at this moment unless said */
  disconnected(user_id: UserId, at?: number): void;
  /** A user's socket has joined a room of `members` members: he is shown there, and it is told who is. */
  joined(user_id: UserId, room_id: RoomId, members: number, socket: S): void;
  /** Another node has the user in a room. */
  appeared(user_id: UserId, room_id: RoomId): void;
  /** No node has him in the room any more; nobody is told. */
  left(user_id: UserId, room_id: RoomId): void;
  /** The socket may have missed changes: it is told again who is online. */
  missed(room_id: RoomId, socket: S): void;
  /** The user (null: everybody) belongs to the room no more; `member_left` or `room_deleted` tells of it. */
  removed(room_id: RoomId, user_id: UserId | null): void;
  membersChanged(room_id: RoomId, by: number): void;
  /** The user has just chosen how to be shown. */
  chosen(user_id: UserId, status: Status): void;
  /** The user has just taken another name. */
  renamed(user_id: UserId, username: string): void;
  /** What was chosen earlier, and the user's present name; a fresher choice or name stands. */
  read(users: readonly StatusChange[]): void;
  tick(): void;
  /** What the user is called; null for nobody who is known here. */
  nameOf(user_id: UserId): string | null;
  /** What the user chose to be shown as; null while it isn't known. */
  chosenBy(user_id: UserId): Status | null;
  /** Everybody whom the shards were told to be online or away. */
  standing(): StatusChanges;
  /** How many are shown as online or away. */
  size(): number;
}

interface Person {
  /** That of his token, which may be an old one, until it is read or changed. */
  username: string;
  /** Whether it has changed since he came: what is read may be older. */
  renamed: boolean;
  sockets: number;
  /** null: not read yet. Until then he is not shown, because he may be hiding. */
  chosen: Status | null;
  readonly rooms: Set<RoomId>;
  /** Of the last socket's end. */
  gone: { readonly at: number; readonly wallMs: number } | null;
}

export function createPresence<S>(
  sink: PresenceSink<S>,
  clock: { now(): number; wallMs(): number } = { now: () => performance.now(), wallMs: () => Date.now() },
): Presence<S> {
  const people = new Map<UserId, Person>();
  const lingering = new Set<UserId>();
  const unread = new Map<UserId, number>(); // → when it was asked for
  const told = new Map<UserId, Status>(); // what the shards know; offline ones are missing
  let restless = new Set<UserId>(); // whose status may have changed since the last tick
  let gone: UserId[] = [];
  const rooms = createPresenceRooms(sink, (user_id, room_id) => {
    const person = people.get(user_id);
    if (person === undefined || !person.rooms.has(room_id)) return null;
    return { username: person.username, status: statusOf(person) };
  });

  function statusOf(person: Person | undefined): Status {
    return person?.chosen ?? 'offline';
  }

  function touch(user_id: UserId, person: Person): void {
    restless.add(user_id);
    for (const room_id of person.rooms) rooms.touch(room_id, user_id);
  }

  /** Ends the time of those who didn't come back; returns when each was last seen (epoch ms). */
  function expire(now: number): ReadonlyMap<UserId, number> {
    const seen = new Map<UserId, number>();
    for (const user_id of lingering) {
      const person = people.get(user_id);
      if (person?.gone && now - person.gone.at < GRACE_MS) continue;
      lingering.delete(user_id);
      if (!person?.gone) continue;
      seen.set(user_id, person.gone.wallMs);
      unread.delete(user_id);
      people.delete(user_id);
      touch(user_id, person);
    }
    return seen;
  }

  function tellShards(seen: ReadonlyMap<UserId, number>): void {
    const changes: StatusChanges = { online: [], away: [], offline: [], seen_ms: [], gone };
    for (const user_id of restless) {
      const status = statusOf(people.get(user_id));
      if (status === (told.get(user_id) ?? 'offline')) continue;
      changes[status].push(user_id);
      if (status !== 'offline') told.set(user_id, status);
      else {
        told.delete(user_id);
        changes.seen_ms.push(seen.get(user_id) ?? clock.wallMs());
      }
    }
    restless = new Set();
    gone = [];
    const { online, away, offline } = changes;
    if (online.length + away.length + offline.length + changes.gone.length > 0) sink.shards(changes);
  }

  function enter(user_id: UserId, person: Person, room_id: RoomId): void {
    if (person.rooms.has(room_id) || person.rooms.size >= ROOMS_PER_USER_MAX) return;
    person.rooms.add(room_id);
    rooms.entered(room_id, user_id, person.username);
  }

  function askUnread(now: number): void {
    const asked: UserId[] = [];
    for (const [user_id, at] of unread) {
      if (now - at < READ_AGAIN_MS) continue;
      unread.set(user_id, now);
      asked.push(user_id);
    }
    for (let from = 0; from < asked.length; from += READ_AT_ONCE_MAX)
      sink.readStatuses(asked.slice(from, from + READ_AT_ONCE_MAX));
  }

  return {
    connected(user_id, username) {
      const known = people.get(user_id);
      if (known !== undefined) {
        known.sockets++;
        known.gone = null;
        lingering.delete(user_id);
        return;
      }
      people.set(user_id, {
        username,
        renamed: false,
        sockets: 1,
        chosen: null,
        rooms: new Set(),
        gone: null,
      });
      unread.set(user_id, Number.NEGATIVE_INFINITY);
    },

    disconnected(user_id, at = clock.now()) {
      const person = people.get(user_id);
      if (person === undefined || --person.sockets > 0) return;
      person.gone = { at, wallMs: clock.wallMs() - (clock.now() - at) };
      lingering.add(user_id);
      gone.push(user_id);
    },

    joined(user_id, room_id, members, socket) {
      const person = people.get(user_id);
      if (person === undefined) return;
      rooms.joined(room_id, members, socket);
      enter(user_id, person, room_id);
    },

    appeared(user_id, room_id) {
      const person = people.get(user_id);
      if (person !== undefined) enter(user_id, person, room_id);
    },

    left(user_id, room_id) {
      people.get(user_id)?.rooms.delete(room_id);
      rooms.removed(room_id, user_id);
    },

    missed: rooms.missed,
    membersChanged: rooms.membersChanged,

    removed(room_id, user_id) {
      for (const id of rooms.removed(room_id, user_id)) people.get(id)?.rooms.delete(room_id);
    },

    chosen(user_id, status) {
      const person = people.get(user_id);
      if (person === undefined) return;
      unread.delete(user_id);
      person.chosen = status;
      touch(user_id, person);
    },

    renamed(user_id, username) {
      const person = people.get(user_id);
      if (person === undefined) return;
      person.username = username;
      person.renamed = true;
      touch(user_id, person);
    },

    read(users) {
      for (const { user_id, username, status } of users) {
        const person = people.get(user_id as UserId);
        if (person === undefined || !unread.delete(user_id as UserId)) continue;
        if (!person.renamed) person.username = username;
        person.chosen = status;
        touch(user_id as UserId, person);
      }
    },

    tick() {
      const now = clock.now();
      const seen = expire(now);
      askUnread(now);
      tellShards(seen);
      rooms.flush(now);
    },

    nameOf: (user_id) => people.get(user_id)?.username ?? null,
    chosenBy: (user_id) => people.get(user_id)?.chosen ?? null,

    standing() {
      const changes: StatusChanges = { online: [], away: [], offline: [], seen_ms: [], gone: [] };
      for (const [user_id, status] of told) changes[status].push(user_id);
      return changes;
    },

    size: () => told.size,
  };
}
