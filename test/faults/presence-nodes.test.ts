import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { User } from '../../src/protocol/model.js';
import { must, until } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { enter } from '../helpers/signals.js';

const OFFLINE_DEADLINE_MS = 20_000; // 10 s are promised; a busy machine gets more
const TIMEOUT = { timeout: 120_000 };

describe.skipIf(!hasRedis)('presence over two nodes (skipped where there is no redis-server)', () => {
  let redis: RedisServer;
  let nodes: Nodes;
  let rests: Rest[];

  beforeAll(async () => {
    redis = await startRedis();
    nodes = await startNodes(['2', '1'].map((SHARDS) => ({ SHARDS, REDIS_URL: redis.url })));
    rests = nodes.servers.map(({ url }) => restClient(url));
  });
  afterAll(async () => {
    await nodes?.stop();
    await redis?.kill();
  });

  const statusOn = async (node: number, who: Account, asker: Account): Promise<User['status']> =>
    dataOf(await must(rests[node]).get<User>(`/users/${who.id}`, asker.token)).status;
  const becomes = (node: number, who: Account, asker: Account, status: User['status']) =>
    until(
      async () => (await statusOn(node, who, asker)) === status,
      `${who.username} ${status} on node ${node}`,
      OFFLINE_DEADLINE_MS,
    );

  test(
    'users of one node are present on the other, in rooms and over REST, with what they chose',
    TIMEOUT,
    async () => {
      const rest = must(rests[0]);
      const [ann, ben, cat] = [await newAccount(rest), await newAccount(rest), await newAccount(rest)];
      const { id: room } = await newRoom(rest, ann, [ben, cat]);
      const annEar = await enter(nodes.node(0).wsUrl, ann, room);
      const benEar = await enter(nodes.node(1).wsUrl, ben, room, 'msgpack');
      // Who was there first is in the list that the later one gets.
      const lists = () =>
        benEar.heard('presence', room).flatMap(({ payload }) => payload.users as { user_id: string }[]);
      const online = () => benEar.heard('user_online', room, ann).map(({ payload }) => payload);
      await until(
        () => [...lists(), ...online()].some(({ user_id }) => user_id === ann.id),
        'ann, told to ben',
      );
      await annEar.hears('user_online', ben);
      await becomes(1, ann, ben, 'online');
      await becomes(0, ben, ann, 'online');

      dataOf(await must(rests[1]).patch('/users/me', ben.token, { status: 'away' }));
      await becomes(0, ben, ann, 'away');
      await annEar.next(
        ({ type, payload }) =>
          type === 'user_online' && payload.user_id === ben.id && payload.status === 'away',
        'ben away',
      );

      const username = `${ben.username}-renamed`;
      dataOf(await must(rests[1]).patch('/users/me', ben.token, { username }));
      await annEar.next(({ payload }) => payload.username === username, 'the new name of ben');

      // A reconnect to the other node is never seen; cat, who went later, is seen to go.
      const catEar = await enter(nodes.node(1).wsUrl, cat, room);
      await annEar.hears('user_online', cat);
      await benEar.close();
      const benHere = await enter(nodes.node(0).wsUrl, ben, room);
      await catEar.close();
      await annEar.hears('user_offline', cat, OFFLINE_DEADLINE_MS);
      expect(annEar.heard('user_offline', room, ben)).toEqual([]);
      await becomes(1, cat, ann, 'offline');
      expect(await statusOn(1, ben, ann)).toBe('away');
      await Promise.all([annEar.close(), benHere.close()]);
    },
  );

  test('users of a node that dies go offline on the other; those who come to it stay', TIMEOUT, async () => {
    const rest = must(rests[0]);
    const [ann, ben, cat] = [await newAccount(rest), await newAccount(rest), await newAccount(rest)];
    const { id: room } = await newRoom(rest, ann, [ben, cat]);
    const annEar = await enter(nodes.node(0).wsUrl, ann, room);
    await enter(nodes.node(1).wsUrl, ben, room);
    await enter(nodes.node(1).wsUrl, cat, room);
    await annEar.hears('user_online', ben);
    await annEar.hears('user_online', cat);
    nodes.node(1).kill('SIGKILL');
    const died = performance.now();
    await nodes.node(1).exit;
    const catHere = await enter(nodes.node(0).wsUrl, cat, room);
    await annEar.hears('user_offline', ben, OFFLINE_DEADLINE_MS);
    process.stdout.write(`offline ${Math.round(performance.now() - died)} ms after the node was killed\n`);
    expect(annEar.heard('user_offline', room, cat)).toEqual([]);
    await becomes(0, ben, ann, 'offline');
    expect(await statusOn(0, cat, ann)).toBe('online');
    // A node that starts hears who is there, by the name that he has since.
    const username = `${cat.username}-renamed`;
    dataOf(await rest.patch('/users/me', cat.token, { username }));
    await nodes.start(1);
    rests = nodes.servers.map(({ url }) => restClient(url));
    await becomes(1, cat, ann, 'online');
    const benHere = await enter(nodes.node(1).wsUrl, ben, room);
    const list = await until(() => benHere.heard('presence', room)[0], 'the list for ben');
    expect(list.payload.users).toContainEqual({ user_id: cat.id, username, status: 'online' });
    await Promise.all([annEar.close(), benHere.close(), catHere.close()]);
  });

  test(
    'nobody goes offline while Redis is down, and who did meanwhile is told when it is back',
    TIMEOUT,
    async () => {
      const rest = must(rests[0]);
      const [ann, ben, cat] = [await newAccount(rest), await newAccount(rest), await newAccount(rest)];
      const { id: room } = await newRoom(rest, ann, [ben, cat]);
      const annEar = await enter(nodes.node(0).wsUrl, ann, room);
      const benEar = await enter(nodes.node(1).wsUrl, ben, room);
      const catEar = await enter(nodes.node(1).wsUrl, cat, room);
      await annEar.hears('user_online', ben);
      await annEar.hears('user_online', cat);
      await redis.stop();
      await catEar.close();
      // Offline on the node that knows: by then the other one would have given up all of them.
      await becomes(1, cat, ann, 'offline');
      expect(await statusOn(0, ben, ann)).toBe('online');
      await redis.start();
      await annEar.hears('user_offline', cat, 60_000); // after three rounds without him, and his grace
      expect(annEar.heard('user_offline', room, ben)).toEqual([]);
      await Promise.all([annEar.close(), benEar.close()]);
    },
  );
});
