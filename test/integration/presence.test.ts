import { beforeAll, expect, test } from 'vitest';
import { newId, type UserId } from '../../src/protocol/ids.js';
import type { User } from '../../src/protocol/model.js';
import { openDatabase } from '../../src/store/client.js';
import { chosenStatuses, writeLastSeen } from '../../src/store/presence.js';
import { must, until } from '../helpers/deadline.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { enter, fillRoom, listen } from '../helpers/signals.js';

const OFFLINE_DEADLINE_MS = 20_000; // 10 s are promised; a busy machine gets more

let server: Awaited<ReturnType<typeof startServerWithDatabase>>;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2', PARLEY_TEST_FAULTS: '1' });
  rest = restClient(server.url);
});

async function people<N extends string>(...names: N[]): Promise<Record<N, Account>> {
  const accounts = await Promise.all(names.map(async (name) => [name, await newAccount(rest, name)]));
  return Object.fromEntries(accounts) as Record<N, Account>;
}

async function userSeenBy(who: Account, asker: Account): Promise<User> {
  return dataOf(await rest.get<User>(`/users/${who.id}`, asker.token));
}

const statusBecomes = (who: Account, asker: Account, status: User['status']) =>
  until(async () => (await userSeenBy(who, asker)).status === status, `${who.username} is ${status}`);

test.each(['json', 'msgpack'] as const)(
  'members hear (%s) who comes and who goes, and a reconnect is never seen',
  { timeout: 60_000 },
  async (encoding) => {
    const { ann, ben, cat } = await people('ann', 'ben', 'cat');
    const { id: room } = await newRoom(rest, ann, [ben, cat]);
    const annEar = await enter(server.wsUrl, ann, room, encoding);
    const benEar = await enter(server.wsUrl, ben, room, encoding === 'json' ? 'msgpack' : 'json');

    const came = await annEar.hears('user_online', ben);
    expect(came).toMatchObject({ room_id: room, payload: { username: ben.username, status: 'online' } });
    expect(came).not.toHaveProperty('rev');
    const catEar = await enter(server.wsUrl, cat, room, encoding);
    await annEar.hears('user_online', cat);
    await statusBecomes(ben, ann, 'online');
    // Whoever joins is told who is there already.
    const toldOf = (list: readonly { user_id: string }[]) => list.map(({ user_id }) => user_id);
    const list = await until(() => catEar.heard('presence', room)[0], 'the list for cat');
    expect(toldOf(list.payload.users as { user_id: string }[])).toContain(ann.id);

    await benEar.close();
    const back = await enter(server.wsUrl, ben, room, encoding);
    await catEar.close(); // later than ben went: whatever were told of him would come before
    const left = await annEar.hears('user_offline', cat, OFFLINE_DEADLINE_MS);
    expect(left).toMatchObject({ room_id: room, payload: { username: cat.username } });
    expect(annEar.heard('user_online', room, ben)).toHaveLength(1);
    expect(annEar.heard('user_offline', room, ben)).toEqual([]);

    await statusBecomes(cat, ann, 'offline');
    expect((await userSeenBy(ben, ann)).status).toBe('online');
    const seenAt = await until(async () => (await userSeenBy(cat, ann)).last_seen_at, 'last_seen_at of cat');
    expect(Date.parse(seenAt)).toBeLessThan(Date.now());
    expect((await userSeenBy(ben, ann)).last_seen_at).toBeNull();
    await Promise.all([annEar.close(), back.close()]);
  },
);

test('leaving a room is not going offline, and whoever hears nothing of a room hears nothing of its people', async () => {
  const { ann, ben, eve } = await people('ann', 'ben', 'eve');
  const { id: room } = await newRoom(rest, ann, [ben, eve]);
  const { id: other } = await newRoom(rest, ann, [eve]);
  const annEar = await enter(server.wsUrl, ann, room);
  const eveEar = await enter(server.wsUrl, eve, other);
  const benEar = await enter(server.wsUrl, ben, room);
  await annEar.hears('user_online', ben);
  await benEar.ask('leave_room', {}, room);
  await annEar.ask('join_room', {}, other);
  await eveEar.hears('user_online', ann);
  expect(annEar.heard('user_offline', room)).toEqual([]);
  expect(eveEar.frames.filter((frame) => frame.room_id === room)).toEqual([]);
  await Promise.all([annEar.close(), benEar.close(), eveEar.close()]);
});

test('who chose to be away is shown away, and who hides is shown nowhere', async () => {
  const { ann, awa, hid, ben } = await people('ann', 'awa', 'hid', 'ben');
  const choose = async (who: Account, status: User['status']) =>
    dataOf(await rest.patch('/users/me', who.token, { status }));
  await choose(awa, 'away');
  await choose(hid, 'offline');
  const { id: room } = await newRoom(rest, ann, [awa, hid, ben]);
  const annEar = await enter(server.wsUrl, ann, room);
  const ears = [];
  for (const each of [hid, awa, ben]) ears.push(await enter(server.wsUrl, each, room));
  expect((await annEar.hears('user_online', awa)).payload.status).toBe('away');
  await annEar.hears('user_online', ben);
  expect(annEar.heard('user_online', room, hid)).toEqual([]);
  await statusBecomes(awa, ann, 'away');
  expect((await userSeenBy(hid, ann)).status).toBe('offline');
  expect(annEar.frames.filter((frame) => JSON.stringify(frame.payload).includes(hid.id))).toEqual([]);
  // And whoever chooses while connected is seen to.
  await choose(ben, 'away');
  await until(
    () => annEar.heard('user_online', room, ben).some(({ payload }) => payload.status === 'away'),
    'ben away',
  );
  await choose(ben, 'offline');
  await annEar.hears('user_offline', ben);
  await choose(hid, 'online');
  await annEar.hears('user_online', hid);
  await Promise.all([annEar, ...ears].map((each) => each.close()));
});

test('a room of over 1,000 members is told how many are online, not who', async () => {
  const { ann, ben, cat } = await people('ann', 'ben', 'cat');
  const { id: large } = await newRoom(rest, ann, [ben, cat]);
  const { id: small } = await newRoom(rest, ann, [ben, cat]);
  await fillRoom(server.database.url, large, 1_001);
  const annEar = await enter(server.wsUrl, ann, large);
  await annEar.ask('join_room', {}, small);
  const benEar = await enter(server.wsUrl, ben, large, 'msgpack');
  const catEar = await enter(server.wsUrl, cat, large);
  for (const each of [benEar, catEar]) await each.ask('join_room', {}, small);
  await annEar.hears('user_online', ben);
  await annEar.hears('user_online', cat);
  for (const ear of [annEar, benEar]) {
    await until(
      () => ear.heard('presence_count', large).some(({ payload }) => payload.online === 3),
      'the count of three',
      OFFLINE_DEADLINE_MS,
    );
    for (const type of ['user_online', 'presence']) expect(ear.heard(type, large)).toEqual([]);
  }
  await Promise.all([annEar.close(), benEar.close(), catEar.close()]);
});

test('a shard that is started again knows who is online', { timeout: 60_000 }, async () => {
  const { ann } = await people('ann');
  const annEar = await listen(server.wsUrl, ann);
  await statusBecomes(ann, ann, 'online');
  const restarts = () => server.log().filter((line) => line.event === 'shard_restarted').length;
  for (const shard of [0, 1]) {
    const before = restarts();
    server.writeLine(JSON.stringify({ crash_shard: shard }));
    await until(() => restarts() > before, 'the restart');
  }
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      until(async () => {
        const answer = await rest.get<User>(`/users/${ann.id}`, ann.token);
        return answer.status === 200 ? answer.body.data : null;
      }, 'an answer after the restart'),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill('online'));
  await annEar.close();
});

test('whoever is online when the server stops was last seen then', { timeout: 60_000 }, async () => {
  const own = await startServerWithDatabase();
  const ownRest = restClient(own.url);
  const ann = await newAccount(ownRest, 'ann');
  await listen(own.wsUrl, ann);
  await until(
    async () => dataOf(await ownRest.get<User>('/users/me', ann.token)).status === 'online',
    'ann online',
  );
  await own.stop();
  const db = openDatabase(own.database.url, 1, 'presence-test');
  const [row] = await db<
    { last_seen_at: Date | null }[]
  >`select last_seen_at from users where id = ${ann.id}`;
  await db.end();
  expect(must(row).last_seen_at).not.toBeNull();
});

test('a new name is heard at once, and is the one by which presence goes on', async () => {
  const { ann, ben, cat } = await people('ann', 'ben', 'cat');
  const { id: room } = await newRoom(rest, ann, [ben, cat]);
  const annEar = await enter(server.wsUrl, ann, room);
  const benEar = await enter(server.wsUrl, ben, room, 'msgpack');
  await annEar.hears('user_online', ben);
  const username = `${ben.username}-renamed`;
  dataOf(await rest.patch('/users/me', ben.token, { username }));
  expect(await annEar.hears('user_online', ben)).toMatchObject({ payload: { username, status: 'online' } });
  const catEar = await enter(server.wsUrl, cat, room);
  const list = await until(() => catEar.heard('presence', room)[0], 'the list for cat');
  expect(list.payload.users).toContainEqual({ user_id: ben.id, username, status: 'online' });
  await benEar.close();
  const left = await annEar.hears('user_offline', ben, OFFLINE_DEADLINE_MS);
  expect(left).toMatchObject({ payload: { username } });
  await Promise.all([annEar.close(), catEar.close()]);
});

test('last_seen_at moves forward only; statuses of unknown users are missing', async () => {
  const { ann, ben } = await people('ann', 'ben');
  const db = openDatabase(server.database.url, 1, 'presence-test');
  const [annId, benId] = [ann.id as UserId, ben.id as UserId];
  const at = (iso: string) => new Date(`2026-01-${iso}T00:00:00Z`);
  await writeLastSeen(db, [
    { user_id: annId, at: at('03') },
    { user_id: benId, at: at('01') },
    { user_id: annId, at: at('02') },
  ]);
  await writeLastSeen(db, [{ user_id: annId, at: at('01') }]);
  expect((await userSeenBy(ann, ben)).last_seen_at).toBe('2026-01-03T00:00:00.000Z');
  expect((await userSeenBy(ben, ann)).last_seen_at).toBe('2026-01-01T00:00:00.000Z');
  const statuses = await chosenStatuses(db, [annId, newId<UserId>()]);
  expect(statuses).toEqual([{ user_id: ann.id, username: ann.username, status: 'online' }]);
  await db.end();
});
