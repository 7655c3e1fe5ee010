import { LRUCache } from 'lru-cache';
import { deferred } from '../lib/deferred.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Standing, StandingReader } from './ports.js';

const ROOMS_MAX = 20_000; // rooms whose standings are kept
const USERS_PER_ROOM_MAX = 20_000; // beyond it a room's standings are read anew
const STANDINGS_MAX = 200_000; // of all rooms, some 300 bytes each; the rooms used least lately go first
const TTL_MS = 300_000; // seed §17.2: member lists, 5 minutes; changes on this node are seen at once
const LOADS_PER_STATEMENT_MAX = 1_000;

export interface Admission {
  /** What a user is in a room: at once when known, else read with all others asked for in this turn. */
  of(room_id: RoomId, user_id: UserId): Standing | null | Promise<Standing | null>;
  /** Forgets one standing, or (null) all of a room. Loads under way are answered but not kept. */
  forget(room_id: RoomId, user_id: UserId | null): void;
  /** Forgets a user in every room. */
  forgetUser(user_id: UserId): void;
  readonly lookups: { hits: number; misses: number };
  /** Standings kept now. */
  readonly size: number;
}

interface Load {
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly resolve: (standing: Standing | null) => void;
  readonly reject: (error: unknown) => void;
  readonly promise: Promise<Standing | null>;
  stale: boolean;
}

/** Keeps members' standings, and gathers what isn't known into one statement a turn. */
export function createAdmission(reader: StandingReader, standingsMax = STANDINGS_MAX): Admission {
  const known = new LRUCache<RoomId, Map<UserId, Standing>>({
    max: ROOMS_MAX,
    ttl: TTL_MS,
    dispose: (room) => {
      kept -= room.size;
    },
  });
  let kept = 0;
  const loading = new Map<string, Load>();
  const lookups = { hits: 0, misses: 0 };
  let waiting: Load[] = [];

  function keep(load: Load, standing: Standing | null): void {
    if (load.stale || standing?.role == null) return; // strangers are asked for anew: they may join elsewhere
    let room = known.get(load.room_id);
    if (room === undefined || room.size >= USERS_PER_ROOM_MAX) {
      room = new Map();
      known.set(load.room_id, room);
    }
    if (!room.has(load.user_id)) kept++;
    room.set(load.user_id, standing);
    while (kept > standingsMax && known.size > 1) known.pop();
  }

  function drop(room: Map<UserId, Standing> | undefined, user_id: UserId): void {
    if (room?.delete(user_id)) kept--;
  }

  async function loadWaiting(): Promise<void> {
    const loads = waiting;
    waiting = [];
    for (let from = 0; from < loads.length; from += LOADS_PER_STATEMENT_MAX) {
      await loadSome(loads.slice(from, from + LOADS_PER_STATEMENT_MAX));
    }
  }

  async function loadSome(loads: readonly Load[]): Promise<void> {
    try {
      const standings = await reader.standings(loads);
      loads.forEach((load, i) => {
        const standing = standings[i] ?? null;
        keep(load, standing);
        load.resolve(standing);
      });
    } catch (error) {
      for (const load of loads) load.reject(error);
    }
  }

  function load(room_id: RoomId, user_id: UserId): Promise<Standing | null> {
    const key = keyOf(room_id, user_id);
    const under = loading.get(key);
    if (under !== undefined && !under.stale) return under.promise;
    const { promise, resolve, reject } = deferred<Standing | null>();
    // Who asked before is answered before: a sender's messages go on in their order.
    const next = () => promise;
    const inOrder = under === undefined ? promise : under.promise.then(next, next);
    const fresh: Load = { room_id, user_id, promise: inOrder, resolve, reject, stale: false };
    loading.set(key, fresh);
    const answered = () => {
      if (loading.get(key) === fresh) loading.delete(key);
    };
    inOrder.then(answered, answered);
    if (waiting.push(fresh) === 1) setImmediate(() => void loadWaiting());
    return inOrder;
  }

  return {
    of(room_id, user_id) {
      const isAsked = loading.size > 0 && loading.has(keyOf(room_id, user_id));
      const found = isAsked ? undefined : known.get(room_id)?.get(user_id);
      if (found === undefined) lookups.misses++;
      else lookups.hits++;
      return found ?? load(room_id, user_id);
    },
    lookups,
    forget(room_id, user_id) {
      if (user_id === null) known.delete(room_id);
      else drop(known.get(room_id), user_id);
      for (const load of loading.values()) {
        if (load.room_id === room_id && (user_id === null || load.user_id === user_id)) load.stale = true;
      }
    },
    get size() {
      return kept;
    },
    forgetUser(user_id) {
      for (const room of known.values()) drop(room, user_id);
      for (const load of loading.values()) if (load.user_id === user_id) load.stale = true;
    },
  };
}

function keyOf(room_id: RoomId, user_id: UserId): string {
  return `${room_id}:${user_id}`;
}
