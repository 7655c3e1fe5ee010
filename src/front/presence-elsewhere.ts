import type { PresenceNews, PresentElsewhere } from '../ipc/messages.js';
import { PARTITIONS, partitionOf, type RoomId, type UserId } from '../protocol/ids.js';
import type { Presence } from './presence.js';

/**
 * Presence over nodes. Each node tells the others of its users, changes at once and all of them again in a round of
 * PARTITIONS slices; whoever isn't told of any more is gone, so that a lost signal heals by itself.
 *
 *   a node: unknown ──first news──► known ──silent for NODE_SILENT_MS, or `bye`──► gone, with its users
 *
 * A user who goes is shown for the grace of `presence.ts` on every node, counted from when his node was last heard of:
 * offline within 10 s when a node dies, and nothing at all when he is back elsewhere in time.
 */
const ALIVE_EVERY_MS = 1_000;
const NODE_SILENT_MS = 3_500; // three of its signs of life are missing; below the grace of presence.ts
const DEAF_MS = 1_500; // the bus counts as away; it says so sooner, also for a hiccup
const ROUNDS_KEPT = 3; // a user or room that a node didn't tell of in so many rounds is gone
const SLICES_PER_TICK = 2; // of PARTITIONS: a round takes 8 s at four ticks a second
const SLICES_FOR_A_NEW_NODE = 16; // it knows everything within about a second
const USERS_PER_SIGNAL = 200;
const ROOMS_TOLD_MAX = 500; // of one user; he isn't shown to other nodes in more
const NODES_MAX = 64; // that count, beside this one
const USERS_PER_NODE_MAX = 100_000; // more than a node has sockets

/** A user with sockets of this node. */
interface Mine {
  sockets: number;
  readonly rooms: Set<RoomId>;
  /** Rooms nobody was told of yet; null: of the user neither. */
  fresh: RoomId[] | null;
}

/** A user of another node: in which of its rounds it last told that he is there, and in which rooms. */
interface Theirs {
  told: number;
  readonly rooms: Map<RoomId, number>;
}

interface Node {
  heardAt: number;
  /** Its present round by its own count, and how many of them were heard of. */
  round: number;
  rounds: number;
  readonly users: Map<UserId, Theirs>;
}

export interface PresenceElsewhere {
  connected(user_id: UserId): void;
  disconnected(user_id: UserId): void;
  joined(user_id: UserId, room_id: RoomId): void;
  removed(room_id: RoomId, user_id: UserId | null): void;
  heard(news: PresenceNews): void;
  tick(): void;
  /** This node is leaving. */
  close(): void;
}

type Shown = Pick<
  Presence<never>,
  'connected' | 'disconnected' | 'appeared' | 'left' | 'read' | 'nameOf' | 'chosenBy'
>;

export function createPresenceElsewhere(deps: {
  readonly node: string;
  readonly presence: Shown;
  readonly tell: (partition: number, news: PresenceNews) => void;
  /** Whether what other nodes tell arrives at the moment: while it doesn't, nobody is taken for gone. */
  readonly hears: () => boolean;
  readonly now?: () => number;
}): PresenceElsewhere {
  const { node, presence } = deps;
  const now = deps.now ?? (() => performance.now());
  const mine = Array.from({ length: PARTITIONS }, () => new Map<UserId, Mine>());
  const nodes = new Map<string, Node>();
  let dirty = new Set<UserId>();
  let goneUsers = new Set<UserId>();
  let aliveAt = Number.NEGATIVE_INFINITY;
  let slice = 0;
  let hurried = 0; // slices to be told soon, as a new node has come
  let round = 0;
  let deafSince: number | null = null;
  let deafUntil = Number.NEGATIVE_INFINITY;

  const of = (user_id: UserId) => mine[partitionOf(user_id)] as Map<UserId, Mine>;

  function tellHere(partition: number, users: readonly PresentElsewhere[]): void {
    for (let from = 0; from < users.length; from += USERS_PER_SIGNAL)
      deps.tell(partition, { kind: 'here', node, users: users.slice(from, from + USERS_PER_SIGNAL) });
  }

  function grouped<T>(user_ids: Iterable<UserId>, make: (user_id: UserId) => T | null): Map<number, T[]> {
    const groups = new Map<number, T[]>();
    for (const user_id of user_ids) {
      const made = make(user_id);
      if (made === null) continue;
      const partition = partitionOf(user_id);
      const group = groups.get(partition);
      if (group === undefined) groups.set(partition, [made]);
      else group.push(made);
    }
    return groups;
  }

  function told(user_id: UserId, rooms: readonly RoomId[]): PresentElsewhere {
    return [user_id, presence.nameOf(user_id) ?? '', presence.chosenBy(user_id), rooms];
  }

  function tellChanges(): void {
    for (const [partition, user_ids] of grouped(goneUsers, (user_id) => user_id))
      deps.tell(partition, { kind: 'gone', node, user_ids });
    const news = grouped(dirty, (user_id): PresentElsewhere | null => {
      const user = of(user_id).get(user_id);
      if (user === undefined) return null;
      const rooms = (user.fresh ?? []).slice(0, ROOMS_TOLD_MAX);
      user.fresh = null;
      return told(user_id, rooms);
    });
    for (const [partition, users] of news) tellHere(partition, users);
    dirty = new Set();
    goneUsers = new Set();
  }

  function tellSlices(): void {
    const count = hurried > 0 ? SLICES_FOR_A_NEW_NODE : SLICES_PER_TICK;
    hurried = Math.max(0, hurried - count);
    for (let i = 0; i < count; i++) {
      slice = (slice + 1) % PARTITIONS;
      if (slice === 0) round++;
      const users = [...(mine[slice] ?? [])].map(([user_id, { rooms }]) =>
        told(user_id, [...rooms].slice(0, ROOMS_TOLD_MAX)),
      );
      tellHere(slice, users);
    }
  }

  function nodeOf(id: string): Node | null {
    const known = nodes.get(id);
    if (known !== undefined) return known;
    if (nodes.size >= NODES_MAX) return null;
    const fresh = { heardAt: now(), round: 0, rounds: 0, users: new Map<UserId, Theirs>() };
    nodes.set(id, fresh);
    hurried = PARTITIONS;
    return fresh;
  }

  function here(from: Node, [user_id, username, chosen, rooms]: PresentElsewhere): void {
    let theirs = from.users.get(user_id);
    if (theirs === undefined) {
      if (from.users.size >= USERS_PER_NODE_MAX) return;
      theirs = { told: from.rounds, rooms: new Map() };
      from.users.set(user_id, theirs);
      presence.connected(user_id, username);
    }
    theirs.told = from.rounds;
    // The earlier choice that is known here may be the fresher one: only where none is.
    if (chosen !== null && presence.chosenBy(user_id) === null)
      presence.read([{ user_id, username, status: chosen }]);
    for (const room_id of rooms) {
      if (!theirs.rooms.has(room_id) && theirs.rooms.size >= ROOMS_TOLD_MAX) continue;
      theirs.rooms.set(room_id, from.rounds);
      presence.appeared(user_id, room_id);
    }
  }

  function gone(from: Node, user_id: UserId, at: number): void {
    if (from.users.delete(user_id)) presence.disconnected(user_id, at);
  }

  function forgetNode(id: string, from: Node, at: number): void {
    nodes.delete(id);
    for (const user_id of [...from.users.keys()]) gone(from, user_id, at);
  }

  function isElsewhere(user_id: UserId, room_id: RoomId): boolean {
    if (of(user_id).get(user_id)?.rooms.has(room_id)) return true;
    for (const { users } of nodes.values()) if (users.get(user_id)?.rooms.has(room_id)) return true;
    return false;
  }

  function expire(time: number): void {
    deafSince = deps.hears() ? null : (deafSince ?? time);
    if (deafSince !== null && time - deafSince >= DEAF_MS) deafUntil = time;
    for (const [id, from] of nodes) {
      const heardAt = Math.max(from.heardAt, deafUntil);
      if (time - heardAt > NODE_SILENT_MS) forgetNode(id, from, heardAt);
    }
  }

  function heardRound(from: Node, theirRound: number): void {
    if (theirRound === from.round) return;
    from.round = theirRound;
    from.rounds++;
    expireUsers(from, from.rounds - ROUNDS_KEPT);
  }

  function expireUsers(from: Node, before: number): void {
    for (const [user_id, theirs] of from.users) {
      if (theirs.told < before) {
        gone(from, user_id, now());
        continue;
      }
      for (const [room_id, told] of theirs.rooms) {
        if (told >= before) continue;
        theirs.rooms.delete(room_id);
        if (!isElsewhere(user_id, room_id)) presence.left(user_id, room_id);
      }
    }
  }

  return {
    connected(user_id) {
      const known = of(user_id).get(user_id);
      if (known !== undefined) known.sockets++;
      else {
        of(user_id).set(user_id, { sockets: 1, rooms: new Set(), fresh: [] });
        dirty.add(user_id);
      }
    },
    disconnected(user_id) {
      const known = of(user_id).get(user_id);
      if (known === undefined || --known.sockets > 0) return;
      of(user_id).delete(user_id);
      goneUsers.add(user_id);
    },
    joined(user_id, room_id) {
      const known = of(user_id).get(user_id);
      if (known === undefined || known.rooms.has(room_id)) return;
      known.rooms.add(room_id);
      known.fresh ??= [];
      known.fresh.push(room_id);
      dirty.add(user_id);
    },
    removed(room_id, user_id) {
      const whom = user_id === null ? null : [user_id];
      for (const users of mine) for (const id of whom ?? users.keys()) users.get(id)?.rooms.delete(room_id);
      for (const { users } of nodes.values())
        for (const id of whom ?? users.keys()) users.get(id)?.rooms.delete(room_id);
    },
    heard(news) {
      const from = nodeOf(news.node);
      if (from === null) return;
      from.heardAt = now();
      if (news.kind === 'here') for (const user of news.users) here(from, user);
      else if (news.kind === 'gone') for (const user_id of news.user_ids) gone(from, user_id, now());
      else if (news.kind === 'alive') heardRound(from, news.round);
      else forgetNode(news.node, from, now());
    },
    tick() {
      const time = now();
      tellChanges();
      tellSlices();
      if (time - aliveAt < ALIVE_EVERY_MS) return;
      aliveAt = time;
      deps.tell(0, { kind: 'alive', node, round });
      expire(time);
    },
    close: () => deps.tell(0, { kind: 'bye', node }),
  };
}
