import { expect, test } from 'vitest';
import { createPresence, type StatusChanges } from '../../src/front/presence.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Status } from '../../src/protocol/signals.js';

const GRACE_MS = 8_000;

/** Presence on a clock of the test's own, with what it said, a line each. */
function world(listeners = 3) {
  let now = 0;
  const said: string[] = [];
  const shards: StatusChanges[] = [];
  const asked: UserId[][] = [];
  const names = new Map<string, string>();
  const list = (users: readonly { username: string; status: string }[]) =>
    users.map(({ username, status }) => `${username}=${status}`).join(' ');
  let busy = false;
  const presence = createPresence<string>(
    {
      changed: (_, { username, status }) => void said.push(`${username} ${status}`),
      listed: (_, users) => void said.push(`list of ${users.length}`),
      counted: (_, online) => void said.push(`count ${online}`),
      listedTo(sockets, _, users) {
        if (busy) return [...sockets];
        for (const socket of sockets) said.push(`to ${socket}: ${list(users)}`);
        return [];
      },
      countedTo(sockets, _, online) {
        for (const socket of sockets) said.push(`to ${socket}: count ${online}`);
        return [];
      },
      listeners: () => listeners,
      shards: (changes) => void shards.push(changes),
      readStatuses: (ids) => void asked.push([...ids]),
    },
    { now: () => now, wallMs: () => 1_000_000 + now },
  );
  const room = newId<RoomId>();
  const user = (name: string): UserId => {
    const id = newId<UserId>();
    names.set(id, name);
    return id;
  };
  const read = (id: UserId, status: Status = 'online') =>
    presence.read([{ user_id: id, username: names.get(id) ?? '?', status }]);
  /** Connects somebody and joins the room. */
  const enter = (name: string, members = 2, status: Status = 'online'): UserId => {
    const id = user(name);
    presence.connected(id, name);
    presence.joined(id, room, members, `${name}'s`);
    read(id, status);
    return id;
  };
  return {
    presence,
    room,
    user,
    read,
    enter,
    shards,
    asked,
    setBusy: (is: boolean) => {
      busy = is;
    },
    /** Lets time pass, then gives what was said. */
    after(ms: number): string[] {
      now += ms;
      presence.tick();
      return said.splice(0);
    },
  };
}

test('a reconnect within the grace is never seen; a longer absence is, once', () => {
  const { enter, presence, room, after } = world();
  const ann = enter('ann');
  expect(after(0)).toEqual(['ann online', "to ann's: ann=online"]);
  presence.disconnected(ann);
  expect(after(GRACE_MS - 1)).toEqual([]);
  presence.connected(ann, 'ann');
  presence.joined(ann, room, 2, 'again');
  expect(after(GRACE_MS)).toEqual(['to again: ann=online']);
  presence.disconnected(ann);
  expect(after(GRACE_MS)).toEqual(['ann offline']);
  expect(after(GRACE_MS)).toEqual([]);
});

test('one of several sockets that closes changes nothing', () => {
  const { enter, presence, after } = world();
  const ann = enter('ann');
  presence.connected(ann, 'ann');
  after(0);
  presence.disconnected(ann);
  expect(after(10 * GRACE_MS)).toEqual([]);
});

test('somebody is shown as he chose, and not before that was read', () => {
  const { presence, room, user, read, after, asked } = world();
  const ann = user('ann');
  presence.connected(ann, 'ann');
  presence.joined(ann, room, 2, "ann's");
  expect(after(0)).toEqual([]);
  expect(asked).toEqual([[ann]]);
  after(250);
  expect(asked).toHaveLength(1);
  after(5_000); // no answer: asked again
  expect(asked).toEqual([[ann], [ann]]);
  read(ann, 'offline');
  expect(after(0)).toEqual([]);
  presence.chosen(ann, 'away');
  expect(after(0)).toEqual(['ann away']);
  presence.chosen(ann, 'offline');
  expect(after(0)).toEqual(['ann offline']);
  presence.chosen(ann, 'online');
  presence.chosen(ann, 'offline');
  expect(after(0)).toEqual([]); // cancelled out
});

test('an answer that is older than a choice changes nothing', () => {
  const { presence, user, room, read, after } = world();
  const ann = user('ann');
  presence.connected(ann, 'ann');
  presence.joined(ann, room, 2, "ann's");
  after(0);
  presence.chosen(ann, 'offline');
  read(ann, 'online');
  expect(after(0)).toEqual([]);
});

test('a new name is told at once, to who joins later too, and stays to the end', () => {
  const { enter, presence, room, after } = world();
  const ann = enter('ann');
  after(0);
  presence.renamed(ann, 'anna');
  expect(presence.nameOf(ann)).toBe('anna');
  expect(after(0)).toEqual(['anna online']);
  presence.joined(ann, room, 2, 'again');
  presence.connected(ann, 'ann'); // by a token from before
  expect(after(0)).toEqual(['to again: anna=online']);
  presence.disconnected(ann);
  presence.disconnected(ann);
  expect(after(GRACE_MS)).toEqual(['anna offline']);
});

test('an answer that is older than a new name doesn’t bring the old one back; who hides isn’t shown by it', () => {
  const { presence, user, room, read, after } = world();
  const ann = user('ann');
  presence.connected(ann, 'ann');
  presence.joined(ann, room, 2, "ann's");
  after(0);
  presence.renamed(ann, 'anna');
  expect(after(0)).toEqual([]);
  read(ann, 'offline');
  expect(after(0)).toEqual([]);
  presence.chosen(ann, 'online');
  expect(after(0)).toEqual(['anna online']);
});

test('shards hear when somebody who was shown was last seen, and of a hidden one nothing', () => {
  const { enter, presence, after, shards } = world();
  const [ann, hid] = [enter('ann'), enter('hid', 2, 'offline')];
  after(0);
  expect(shards.splice(0)).toMatchObject([{ online: [ann], away: [], offline: [] }]);
  expect(presence.standing()).toMatchObject({ online: [ann], away: [], offline: [] });
  after(1_000);
  presence.disconnected(ann);
  presence.disconnected(hid);
  after(250);
  expect(shards.splice(0)).toMatchObject([{ offline: [], gone: [ann, hid] }]);
  after(GRACE_MS);
  expect(shards.splice(0)).toMatchObject([{ offline: [ann], seen_ms: [1_001_000], gone: [] }]);
  expect(presence.size()).toBe(0);
});

test('whoever belongs to the room no more is gone without a word, and comes back as new', () => {
  const { enter, presence, room, after } = world();
  const ann = enter('ann');
  after(0);
  presence.removed(room, ann);
  expect(after(0)).toEqual([]);
  presence.chosen(ann, 'away');
  expect(after(0)).toEqual([]);
  presence.joined(ann, room, 2, "ann's");
  expect(after(0)).toEqual(['ann away', "to ann's: ann=away"]);
  presence.removed(room, null);
  presence.disconnected(ann);
  expect(after(GRACE_MS)).toEqual([]);
});

test('a socket that missed something, or was too busy, is told who is online', () => {
  const { enter, presence, room, setBusy, after } = world();
  enter('ann');
  setBusy(true);
  after(0);
  expect(after(250)).toEqual([]);
  setBusy(false);
  expect(after(250)).toEqual(["to ann's: ann=online"]);
  presence.missed(room, 'slow');
  expect(after(250)).toEqual(['to slow: ann=online']);
});

test('many changes of a room at once come as lists, a bounded number in a tick', () => {
  const { enter, after } = world(450);
  for (let n = 0; n < 450; n++) enter(`u${n}`, 450);
  const heard = (ms: number) => after(ms).filter((line) => line.startsWith('list'));
  expect(heard(0)).toEqual(['list of 100', 'list of 100']);
  expect(heard(250)).toEqual(['list of 100', 'list of 100']);
  expect(heard(250)).toEqual(['list of 50']);
  expect(after(250)).toEqual([]);
});

test('what few hear comes one by one, however many changes there are', () => {
  const { enter, after } = world(40);
  for (let n = 0; n < 40; n++) enter(`u${n}`, 40);
  const heard = after(0);
  expect(heard.filter((line) => / online$/.test(line))).toHaveLength(40);
  expect(heard.filter((line) => line.startsWith('list'))).toEqual([]);
});

test('a storm in many rooms is told over several ticks, and no room is forgotten', () => {
  const LISTENERS = 1_000;
  const { presence, user, read, after } = world(LISTENERS);
  for (let n = 0; n < 200; n++) {
    const id = user(`u${n}`);
    presence.connected(id, `u${n}`);
    presence.joined(id, newId<RoomId>(), 2, `u${n}'s`);
    read(id);
  }
  const heard: string[] = [];
  const first = after(0).filter((line) => / online$/.test(line));
  expect(first.length).toBeLessThan(60); // 50,000 tellings
  heard.push(...first);
  for (let tick = 0; tick < 6; tick++) heard.push(...after(250).filter((line) => / online$/.test(line)));
  expect(new Set(heard).size).toBe(200);
  expect(heard).toHaveLength(200);
});

test('who comes back before a storm let it be told that he went is not told twice, and is gone where he did not join', () => {
  const { presence, room, user, enter, read, after } = world(60_000); // a tick tells one room
  const ann = enter('ann');
  const other = newId<RoomId>();
  presence.joined(ann, other, 2, 'other');
  after(0);
  after(0);
  presence.disconnected(ann);
  // A room that is told first takes all that the tick may tell.
  const ben = user('ben');
  presence.connected(ben, 'ben');
  presence.joined(ben, newId<RoomId>(), 2, "ben's");
  read(ben);
  expect(after(GRACE_MS)).toEqual(['ben online', "to ben's: ben=online"]);
  presence.connected(ann, 'ann');
  read(ann);
  presence.joined(ann, room, 2, 'again');
  expect([...after(0), ...after(0), ...after(0)].sort()).toEqual(['ann offline', 'to again: ann=online']);
});

test('a room of over 1,000 members hears a count alone, once in 5 s where it changed', () => {
  const { enter, presence, after } = world();
  const ann = enter('ann', 1_001);
  expect(after(0)).toEqual(["to ann's: count 1", 'count 1']);
  enter('hid', 1_001, 'offline');
  const ben = enter('ben', 1_001);
  expect(after(250)).toEqual(["to hid's: count 2", "to ben's: count 2"]);
  expect(after(4_749)).toEqual([]);
  expect(after(1)).toEqual(['count 2']);
  expect(after(10_000)).toEqual([]);
  presence.disconnected(ann);
  presence.disconnected(ben);
  expect(after(GRACE_MS)).toEqual(['count 0']);
});

test('a room that grows large tells a count, and one that shrinks tells names again', () => {
  const { enter, presence, room, after } = world();
  enter('ann', 1_000);
  after(0);
  presence.membersChanged(room, 1);
  expect(after(250)).toEqual(['count 1']);
  enter('ben', 1_001);
  after(250);
  presence.membersChanged(room, -1);
  expect(after(250)).toEqual([]); // not with every member who goes
  for (let n = 0; n < 100; n++) presence.membersChanged(room, -1);
  expect(after(250).sort()).toEqual(['ann online', 'ben online']);
  expect(after(10_000)).toEqual([]);
});
