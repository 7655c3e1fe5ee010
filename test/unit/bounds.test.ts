import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { grantSigner } from '../../src/attachments/local-links.js';
import { localStorage } from '../../src/attachments/local-storage.js';
import { createLastSeen } from '../../src/auth/last-seen.js';
import type { LastSeen } from '../../src/auth/presence-port.js';
import { createNumbers } from '../../src/bus/redis-numbers.js';
import { createPresence } from '../../src/front/presence.js';
import { createPresenceElsewhere } from '../../src/front/presence-elsewhere.js';
import { createTold } from '../../src/front/told.js';
import type { FromTransfer, PresenceNews, StandingChange } from '../../src/ipc/messages.js';
import { deferred } from '../../src/lib/deferred.js';
import { Refusal } from '../../src/protocol/errors.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Room } from '../../src/protocol/model.js';
import { createJoinBatches } from '../../src/rooms/join-batches.js';
import { createReadReceipts } from '../../src/rooms/read-receipts.js';
import type { RoomStore } from '../../src/rooms/room-store-port.js';
import { createSlowMode } from '../../src/rooms/slow-mode.js';
import { createTyping } from '../../src/rooms/typing.js';
import { createLateNews } from '../../src/shard/late-news.js';
import { createDownloads } from '../../src/transfer/downloads.js';
import { must, until } from '../helpers/deadline.js';

/** Bounds of docs/limits.md that no server is needed for: each is filled, and pushed one beyond. */
const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const codeOf = (error: unknown): string => (error instanceof Refusal ? error.problem.code : String(error));
/** How many of them were refused as `overloaded`. */
const overloaded = (outcomes: readonly PromiseSettledResult<unknown>[]): number =>
  outcomes.filter((each) => each.status === 'rejected' && codeOf(each.reason) === 'overloaded').length;

test('of 50,001 facts that sockets were told, the longest known is forgotten', () => {
  const told = createTold();
  const facts = times(50_001, (i) => ({ about: `fact ${i}`, state: '' }));
  for (const fact of facts) told.fresh(fact);
  expect(facts.findIndex((fact) => told.has(fact))).toBe(1);
});

test('receipts of 50,000 users are gathered; those of others are sent at once', () => {
  let sent = 0;
  const count = () => void sent++;
  const receipts = createReadReceipts({ toRoom: count, toUser: count }, () => 0);
  const room_id = newId<RoomId>();
  const mark = (user_id: UserId) => receipts.moved([{ room_id, user_id, seq_no: 1, member_count: 2 }]);
  const users = times(50_001, () => newId<UserId>());
  for (const user_id of users) mark(user_id);
  const before = sent;
  mark(must(users[49_999]));
  expect(sent - before).toBe(0);
  mark(must(users[50_000]));
  expect(sent - before).toBe(1);
  receipts.close();
});

test('20,000 users of a shard are shown typing, and no more until one of them has stopped', async () => {
  let now = 0;
  let shown = 0;
  const standing = { room_type: 'public', role: 'member', muted_until: null, username: 'ann' } as const;
  const typing = createTyping({
    admission: { of: () => ({ ...standing, member_count: 2, slow_mode_s: 0 }) },
    announcer: { toRoom: (_, type) => void (type === 'user_typing' && shown++) },
    now: () => now,
  });
  const room = newId<RoomId>();
  const type = () => typing.heard({ user_id: newId<UserId>(), username: 'ann' }, room, true);
  for (let i = 0; i < 20_010; i++) await type();
  expect(shown).toBe(20_000);
  now += 60_000;
  typing.sweep();
  await type();
  expect(shown).toBe(20_001);
  typing.close();
});

test('10,000 claims of slow mode wait behind a statement that hangs; the next is overloaded', async () => {
  const statement = deferred<void>();
  const slowMode = createSlowMode(
    {
      claim: async (claims) => {
        await statement.promise;
        return claims.map(() => 0);
      },
      release: async () => undefined,
    },
    () => undefined,
  );
  const run = () =>
    slowMode.run(
      { room_id: newId(), user_id: newId(), message_id: newId() },
      () => new Refusal('not_found'),
      async () => 'sent',
    );
  const batch = times(256, run); // under way, so that they don't wait any more
  await Promise.resolve();
  const waiting = times(10_001, run);
  await expect(waiting.at(-1)).rejects.toMatchObject({ problem: { code: 'overloaded' } });
  statement.resolve();
  expect(overloaded(await Promise.allSettled([...batch, ...waiting]))).toBe(1);
});

test('10,000 joins of a room wait behind a change that hangs; the next is overloaded', async () => {
  const change = deferred<void>();
  const store: Pick<RoomStore, 'changeRoom'> = {
    changeRoom: async () => {
      await change.promise;
      throw new Refusal('not_found');
    },
  };
  const join = createJoinBatches(store as RoomStore);
  const room = newId<RoomId>();
  const joins = times(10_001, () => join(newId<UserId>(), room));
  await expect(joins.at(-1)).rejects.toMatchObject({ problem: { code: 'overloaded' } });
  change.resolve();
  expect(overloaded(await Promise.allSettled(joins))).toBe(1);
});

test('of 100,001 last-seen times that wait the earliest is given up', async () => {
  const written: LastSeen[] = [];
  const lastSeen = createLastSeen(
    async (seen) => void written.push(...seen),
    () => undefined,
    1_000_000,
  );
  const users = times(100_001, () => newId<UserId>());
  for (const [i, user_id] of users.entries()) lastSeen.note(user_id, i);
  await lastSeen.close();
  expect([written.length, written[0]?.user_id]).toEqual([100_000, users[1]]);
});

/** Presence whose changes in rooms are counted. */
function presenceThatCounts() {
  const rooms = new Set<RoomId>();
  const presence = createPresence<string>({
    changed: (room_id) => void rooms.add(room_id),
    listed: () => undefined,
    counted: () => undefined,
    listedTo: () => [],
    countedTo: () => [],
    listeners: () => 1,
    shards: () => undefined,
    readStatuses: () => undefined,
  });
  return { presence, rooms };
}

test('a user is shown in 10,000 rooms, and in no more', () => {
  const { presence, rooms } = presenceThatCounts();
  const ann = newId<UserId>();
  presence.connected(ann, 'ann');
  for (const room_id of times(10_001, () => newId<RoomId>())) presence.joined(ann, room_id, 2, 'a socket');
  presence.chosen(ann, 'online');
  for (let i = 0; i < 3; i++) presence.tick();
  expect(rooms.size).toBe(10_000);
});

test('other nodes are told of 500 rooms of a user; 64 nodes count, with 100,000 users each', () => {
  const { presence } = presenceThatCounts();
  const told: PresenceNews[] = [];
  const elsewhere = createPresenceElsewhere({
    node: 'mine',
    presence,
    tell: (_, news) => void told.push(news),
    hears: () => true,
  });
  const shown = () => {
    presence.tick();
    return presence.size();
  };
  const ann = newId<UserId>();
  elsewhere.connected(ann);
  for (const room_id of times(501, () => newId<RoomId>())) elsewhere.joined(ann, room_id);
  for (let i = 0; i < 32; i++) elsewhere.tick(); // a whole round
  const lists = told.flatMap((news) =>
    news.kind === 'here' ? news.users.map(([, , , rooms]) => rooms) : [],
  );
  expect(lists.length).toBeGreaterThan(1);
  expect(Math.max(...lists.map((rooms) => rooms.length))).toBe(500);

  const here = (node: string, users: number) =>
    elsewhere.heard({
      kind: 'here',
      node,
      users: times(users, () => [newId<UserId>(), 'ben', 'online', []] as const),
    });
  for (let i = 1; i <= 65; i++) here(`node ${i}`, 1);
  expect(shown()).toBe(64);
  here('node 1', 100_000); // and the one of before
  expect(shown()).toBe(64 - 1 + 100_000);
});

test('of 257 publishers of a partition the longest known is forgotten', () => {
  const numbers = createNumbers();
  for (let i = 0; i < 256; i++) numbers.take(1, `publisher ${i}`, 7);
  expect(numbers.take(1, 'publisher 0', 7)).toBeNull();
  numbers.take(1, 'publisher 256', 7);
  expect(numbers.take(1, 'publisher 1', 7)).toBeNull();
  expect(numbers.take(1, 'publisher 0', 7)).toBe(0);
});

test('of 1,001 changes that the watch found in one look 1,000 are told', async () => {
  const heard: unknown[] = [];
  const tell = createLateNews({
    membersOf: async () => [],
    roomById: async (id) => ({ id, created_by: newId() }) as unknown as Room,
    hear: (signal) => void heard.push(signal),
  });
  const change = { user_id: null, ended: false, at_ms: 1, kind: 'room', joined_at: null, how: null } as const;
  await tell(times(1_001, (): StandingChange => ({ ...change, room_id: newId<RoomId>(), username: null })));
  expect(heard).toHaveLength(1_000);
});

test('512 downloads go on at once; the next is overloaded, and one that ends makes place', async () => {
  const root = await mkdtemp(join(tmpdir(), 'parley-downloads-'));
  const grants = grantSigner('a secret for the links of this test');
  const storage = localStorage(root, grants, null);
  const key = 'room/file';
  await storage.put(
    key,
    (async function* () {
      yield Buffer.alloc(100_000);
    })(),
    'a/b',
  );
  const posted: FromTransfer[] = [];
  const downloads = createDownloads({
    local: { storage, grants },
    linkTo: () => '',
    attachments: {} as never,
    post: (message) => void posted.push(message),
  });
  const until_s = Math.floor(Date.now() / 1_000) + 60;
  const token = grants.sign({ op: 'get', key, until: until_s, type: 'a/b', disposition: 'inline' });
  const plain = {
    t: 'download',
    of: { token },
    head: false,
    range: '',
    ifRange: '',
    ifNoneMatch: '',
  } as const;
  const begin = (id: number) => downloads.download({ ...plain, id });
  const all = times(512, begin); // nobody pulls: they stay
  await expect(begin(512)).rejects.toMatchObject({ problem: { code: 'overloaded' } });
  await until(() => posted.length === 512, 'the heads of all');
  downloads.cancel(0);
  await all[0];
  const next = begin(513);
  await until(() => posted.length === 513, 'the head of the next');
  for (let id = 1; id <= 513; id++) downloads.cancel(id);
  await Promise.all([...all, next]);
  await rm(root, { recursive: true });
});
