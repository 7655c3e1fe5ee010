import type { RoomId, UserId } from '../protocol/ids.js';
import { LARGE_ROOM_MEMBERS, type Status, type StatusChange } from '../protocol/signals.js';

/**
 * What the subscribers of each room know of who is online there. Changes wait for `flush`, where opposite
 * ones have cancelled out; a flush tells a bounded number of things, and the next one goes on.
 */
const COUNT_EVERY_MS = 5_000; // a large room's presence_count
const SMALL_AGAIN_MEMBERS = 900; // a large room shrinks below before it is small: not with every member who goes
/** Changes of a room in one flush come as frames of their own while they, or their tellings, are few; more come as lists. */
const ONE_BY_ONE_MAX = 25;
const ONE_BY_ONE_TELLINGS_MAX = 20_000;
const LIST_MAX = 100; // users in one `presence`
const CHANGES_PER_FLUSH_MAX = 200; // of one room
const TELLINGS_PER_FLUSH_MAX = 50_000; // one user's status to one socket, some 100 bytes: 20 MB a second in a storm

/** What leaves: `S` is a socket. */
export interface RoomSink<S> {
  /** To all who listen in the room: one change, many as a list, or a large room's count. */
  changed(room_id: RoomId, change: StatusChange): void;
  listed(room_id: RoomId, users: readonly StatusChange[], online: number): void;
  counted(room_id: RoomId, online: number): void;
  /** To sockets that have joined; returns those that are too busy, to be told later. */
  listedTo(sockets: Iterable<S>, room_id: RoomId, users: readonly StatusChange[], online: number): S[];
  countedTo(sockets: Iterable<S>, room_id: RoomId, online: number): S[];
  /** How many sockets listen in a room. */
  listeners(room_id: RoomId): number;
}

/** A user's present state in a room; null: he isn't there (any more). */
export type StandingIn = (user_id: UserId, room_id: RoomId) => { username: string; status: Status } | null;

export interface PresenceRooms<S> {
  /** A socket has joined a room of `members` members. */
  joined(room_id: RoomId, members: number, socket: S): void;
  /** A user is in the room from now on. */
  entered(room_id: RoomId, user_id: UserId, username: string): void;
  /** A user's standing in the room may have changed. */
  touch(room_id: RoomId, user_id: UserId): void;
  /** Another event tells that the user (null: everybody) belongs to the room no more. Returns who was in it. */
  removed(room_id: RoomId, user_id: UserId | null): UserId[];
  missed(room_id: RoomId, socket: S): void;
  membersChanged(room_id: RoomId, by: number): void;
  flush(now: number): void;
}

interface Room<S> {
  members: number;
  large: boolean;
  /** Everybody in the room, as subscribers were last told of him. */
  readonly shown: Map<UserId, StatusChange>;
  /** Of `shown`, who isn't offline. */
  online: number;
  readonly changed: Set<UserId>;
  joiners: Set<S>;
  /** A large room's count as last told, and when. */
  count: number | null;
  countedAt: number;
}

export function createPresenceRooms<S>(sink: RoomSink<S>, standingIn: StandingIn): PresenceRooms<S> {
  const rooms = new Map<RoomId, Room<S>>();
  const dirty = new Set<RoomId>();

  function roomOf(room_id: RoomId, members: number): Room<S> {
    const known = rooms.get(room_id);
    if (known !== undefined) return known;
    const none = { members, large: false, online: 0, count: null, countedAt: Number.NEGATIVE_INFINITY };
    const room = { ...none, shown: new Map(), changed: new Set<UserId>(), joiners: new Set<S>() };
    rooms.set(room_id, room);
    return room;
  }

  function resize(room_id: RoomId, room: Room<S>, members: number): void {
    room.members = members;
    if (room.large ? members > SMALL_AGAIN_MEMBERS : members <= LARGE_ROOM_MEMBERS) return;
    room.large = !room.large;
    room.count = null;
    room.countedAt = Number.NEGATIVE_INFINITY;
    dirty.add(room_id);
    if (!room.large) for (const shown of room.shown.values()) tellAnew(room, shown);
  }

  /** Its room is small again: as if nobody had been told of this user. */
  function tellAnew(room: Room<S>, shown: StatusChange): void {
    if (shown.status !== 'offline') room.online--;
    room.shown.set(shown.user_id as UserId, { ...shown, status: 'offline' });
    room.changed.add(shown.user_id as UserId);
  }

  /** Takes over what has changed in a room; returns what its subscribers don't know. */
  function settle(room_id: RoomId, room: Room<S>): StatusChange[] {
    const changes: StatusChange[] = [];
    for (const user_id of room.changed) {
      if (changes.length >= CHANGES_PER_FLUSH_MAX) break;
      room.changed.delete(user_id);
      const before = room.shown.get(user_id);
      if (before === undefined) continue; // removed
      const standing = standingIn(user_id, room_id);
      const { username, status } = standing ?? { ...before, status: 'offline' as const };
      const change = { user_id, username, status };
      if (standing === null) room.shown.delete(user_id);
      else room.shown.set(user_id, change);
      room.online += Number(status !== 'offline') - Number(before.status !== 'offline');
      const isRenamed = username !== before.username && status !== 'offline';
      if (status !== before.status || isRenamed) changes.push(change);
    }
    return changes;
  }

  function listOf(room: Room<S>): StatusChange[] {
    const list: StatusChange[] = [];
    for (const shown of room.shown.values()) {
      if (list.length >= LIST_MAX) break;
      if (shown.status !== 'offline') list.push(shown);
    }
    return list;
  }

  /** Tells a small room; returns about how many tellings that took. */
  function tellSmall(room_id: RoomId, room: Room<S>, changes: readonly StatusChange[]): number {
    const tellings = changes.length * sink.listeners(room_id);
    if (changes.length <= ONE_BY_ONE_MAX || tellings <= ONE_BY_ONE_TELLINGS_MAX)
      for (const change of changes) sink.changed(room_id, change);
    else {
      for (let from = 0; from < changes.length; from += LIST_MAX)
        sink.listed(room_id, changes.slice(from, from + LIST_MAX), room.online);
    }
    const list = room.joiners.size > 0 ? listOf(room) : [];
    const joiners = room.joiners.size;
    room.joiners = new Set(list.length > 0 ? sink.listedTo(room.joiners, room_id, list, room.online) : []);
    return tellings + joiners * list.length;
  }

  function tellLarge(room_id: RoomId, room: Room<S>, now: number): number {
    const joiners = room.joiners.size;
    room.joiners = new Set(joiners > 0 ? sink.countedTo(room.joiners, room_id, room.online) : []);
    if (room.online === room.count || now - room.countedAt < COUNT_EVERY_MS) return joiners;
    room.count = room.online;
    room.countedAt = now;
    sink.counted(room_id, room.online);
    return joiners + sink.listeners(room_id);
  }

  function flushRoom(room_id: RoomId, now: number): number {
    const room = rooms.get(room_id);
    if (room === undefined) {
      dirty.delete(room_id);
      return 0;
    }
    const changes = settle(room_id, room);
    const tellings = room.large ? tellLarge(room_id, room, now) : tellSmall(room_id, room, changes);
    const countDue = room.large && room.online !== room.count;
    if (room.changed.size === 0 && room.joiners.size === 0 && !countDue) dirty.delete(room_id);
    if (room.shown.size === 0 && room.joiners.size === 0) rooms.delete(room_id);
    return tellings;
  }

  return {
    joined(room_id, members, socket) {
      const room = roomOf(room_id, members);
      resize(room_id, room, members);
      room.joiners.add(socket);
      dirty.add(room_id);
    },

    entered(room_id, user_id, username) {
      const room = roomOf(room_id, 0); // where nobody here listens yet, somebody elsewhere does
      room.changed.add(user_id);
      dirty.add(room_id);
      if (room.shown.has(user_id)) return; // that he went wasn't told yet, and won't be
      room.shown.set(user_id, { user_id, username, status: 'offline' });
    },

    touch(room_id, user_id) {
      rooms.get(room_id)?.changed.add(user_id);
      dirty.add(room_id);
    },

    removed(room_id, user_id) {
      const room = rooms.get(room_id);
      if (room === undefined) return [];
      dirty.add(room_id);
      const whom = user_id === null ? [...room.shown.keys()] : [user_id];
      return whom.filter((id) => {
        const shown = room.shown.get(id);
        if (shown !== undefined && shown.status !== 'offline') room.online--;
        return room.shown.delete(id);
      });
    },

    missed(room_id, socket) {
      const room = rooms.get(room_id);
      if (room === undefined) return;
      room.joiners.add(socket);
      dirty.add(room_id);
    },

    membersChanged(room_id, by) {
      const room = rooms.get(room_id);
      if (room !== undefined) resize(room_id, room, room.members + by);
    },

    flush(now) {
      let left = TELLINGS_PER_FLUSH_MAX;
      for (const room_id of [...dirty]) {
        if (left <= 0) break;
        left -= flushRoom(room_id, now);
        if (dirty.delete(room_id)) dirty.add(room_id); // not done: behind all others
      }
    },
  };
}
