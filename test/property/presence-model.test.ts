import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPresence } from '../../src/front/presence.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Status, StatusChange } from '../../src/protocol/signals.js';
import { must } from '../helpers/deadline.js';

const USERS = 4;
const ROOMS = 2;
const GRACE_MS = 8_000;
const RUNS = 400;

/** A socket with what its client makes of the frames: by room, who is online and how. */
interface Listener {
  readonly user: UserId;
  readonly rooms: Map<RoomId, Map<string, Status>>;
}

const index = (count: number) => fc.integer({ min: 0, max: count - 1 });
const status = fc.constantFrom<Status>('online', 'away', 'offline');
const connect = fc.record({ kind: fc.constant('connect' as const), user: index(USERS) });
const onSocket = <K extends 'disconnect' | 'join' | 'leave'>(kind: K) =>
  fc.record({ kind: fc.constant(kind), user: index(USERS), socket: index(3), room: index(ROOMS) });
const remove = fc.record({ kind: fc.constant('remove' as const), user: index(USERS), room: index(ROOMS) });
const choose = fc.record({ kind: fc.constant('choose' as const), user: index(USERS), status });
const answer = fc.record({ kind: fc.constant('answer' as const) });
const pass = fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(0, 250, 3_000, GRACE_MS) });
const step = fc.oneof(
  { arbitrary: connect, weight: 3 },
  { arbitrary: onSocket('join'), weight: 6 },
  { arbitrary: onSocket('disconnect'), weight: 3 },
  onSocket('leave'),
  remove,
  choose,
  { arbitrary: answer, weight: 2 },
  { arbitrary: pass, weight: 4 },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Presence with listeners on it, and beside it the plain truth. */
function world() {
  let now = 0;
  const users = Array.from({ length: USERS }, () => newId<UserId>());
  const rooms = Array.from({ length: ROOMS }, () => newId<RoomId>());
  const listeners: Listener[] = [];
  const stored = new Map<UserId, Status>(users.map((user) => [user, 'online']));
  const truth = new Map(users.map((user) => [user, { rooms: new Set<RoomId>(), goneAt: 0 }]));
  const asked: UserId[] = [];
  const shards = new Map<UserId, Status>();
  const repeats: string[] = [];
  const lastTold = new Map<string, Status>();

  const views = (room: RoomId) => listeners.flatMap((each) => each.rooms.get(room) ?? []);
  const apply = (view: Map<string, Status>, { user_id, status }: StatusChange) =>
    status === 'offline' ? view.delete(user_id) : view.set(user_id, status);
  const tell = (room: RoomId, change: StatusChange): void => {
    const key = `${room}:${change.user_id}`;
    if ((lastTold.get(key) ?? 'offline') === change.status) repeats.push(`${key} ${change.status}`);
    lastTold.set(key, change.status);
    for (const view of views(room)) apply(view, change);
  };
  const presence = createPresence<Listener>(
    {
      changed: tell,
      listed: (room, changes) => changes.forEach((change) => void tell(room, change)),
      counted: () => expect.unreachable('no room is large'),
      listedTo(sockets, room, list) {
        for (const each of sockets) {
          const view = each.rooms.get(room);
          if (view !== undefined) for (const change of list) apply(view, change);
        }
        return [];
      },
      countedTo: () => expect.unreachable('no room is large'),
      listeners: (room) => views(room).length,
      shards({ online, away, offline }) {
        for (const user of online) shards.set(user, 'online');
        for (const user of away) shards.set(user, 'away');
        for (const user of offline) shards.delete(user);
      },
      readStatuses: (ids) => void asked.push(...ids),
    },
    { now: () => now, wallMs: () => now },
  );

  const socketsOf = (user: UserId) => listeners.filter((each) => each.user === user);
  function tick(): void {
    for (const [user, true_] of truth) {
      if (socketsOf(user).length === 0 && now - true_.goneAt >= GRACE_MS) true_.rooms.clear();
    }
    presence.tick();
  }
  function answerReads(): void {
    presence.read(
      asked.splice(0).map((user_id) => ({ user_id, username: 'u', status: must(stored.get(user_id)) })),
    );
  }

  function run(action: Step): void {
    if (action.kind === 'answer') return answerReads();
    if (action.kind === 'pass') {
      now += action.ms;
      return tick();
    }
    const user = must(users[action.user]);
    const true_ = must(truth.get(user));
    if (action.kind === 'connect') {
      listeners.push({ user, rooms: new Map() });
      return presence.connected(user, 'u');
    }
    if (action.kind === 'choose') {
      stored.set(user, action.status);
      return presence.chosen(user, action.status);
    }
    if (action.kind === 'remove') {
      const room = must(rooms[action.room]);
      true_.rooms.delete(room);
      for (const each of socketsOf(user)) each.rooms.delete(room);
      for (const view of views(room)) view.delete(user); // member_left says so
      lastTold.delete(`${room}:${user}`);
      return presence.removed(room, user);
    }
    const sockets = socketsOf(user);
    const socket = sockets[action.socket % sockets.length];
    if (socket === undefined) return;
    if (action.kind === 'disconnect') {
      listeners.splice(listeners.indexOf(socket), 1);
      true_.goneAt = now;
      return presence.disconnected(user);
    }
    const room = must(rooms[action.room]);
    if (action.kind === 'leave') return void socket.rooms.delete(room);
    socket.rooms.set(room, new Map());
    true_.rooms.add(room);
    presence.joined(user, room, 2, socket);
  }

  /** What every listener and the shards should know when nothing is pending. */
  function expected(room: RoomId | null): Map<string, Status> {
    const all = users.flatMap((user): [string, Status][] => {
      const present = socketsOf(user).length > 0 && (room === null || must(truth.get(user)).rooms.has(room));
      const shown = must(stored.get(user));
      return present && shown !== 'offline' ? [[user, shown]] : [];
    });
    return new Map(all);
  }

  /** Lets everything pending be told. */
  function settle(): void {
    for (const ms of [0, GRACE_MS, 250, 250]) {
      now += ms;
      tick();
      answerReads();
    }
    tick();
  }
  return { run, settle, expected, listeners, shards, repeats };
}

test('whatever happens, what a subscriber is told folds to the truth, and nothing is told twice', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 150, size: 'max' }), (steps) => {
      const { run, settle, expected, listeners, shards, repeats } = world();
      for (const each of steps) run(each);
      settle();
      for (const listener of listeners) {
        for (const [room, view] of listener.rooms) expect(view).toEqual(expected(room));
      }
      expect(shards).toEqual(expected(null));
      expect(repeats).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});
