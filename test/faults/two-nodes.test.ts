import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../../bench/faults/world.js';
import { must, until } from '../helpers/deadline.js';
import type { Ack } from '../helpers/frames.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { connect } from '../helpers/ws-client.js';

const KILLS = 30; // with those of kill-nine.test.ts fifty
const SENDS = 100;

describe.skipIf(!hasRedis)('two nodes (skipped where there is no redis-server)', () => {
  let redis: RedisServer;
  let nodes: Nodes;
  const up = [true, true];

  beforeAll(async () => {
    redis = await startRedis();
    nodes = await startNodes(['2', '1'].map((SHARDS) => ({ SHARDS, REDIS_URL: redis.url })));
  });
  afterAll(async () => {
    await nodes?.stop();
    await redis?.kill();
  });

  const origins = () => nodes.servers.filter((_, i) => up[i]).map(({ url }) => url);
  async function acks(world: World, count: number): Promise<void> {
    const enough = world.totals().acked + count;
    await until(() => world.totals().acked >= enough, `${count} more acks`, 30_000);
  }

  test(`the same send over both at once is one message, ${SENDS} times`, { timeout: 60_000 }, async () => {
    const rest = restClient(nodes.node(0).url);
    const ann = await newAccount(rest);
    const { id: room } = await newRoom(rest, ann);
    const clients = await Promise.all(nodes.servers.map(({ wsUrl }) => connect({ wsUrl, token: ann.token })));
    for (let i = 0; i < SENDS; i++) {
      const send = { id: randomUUID(), content: `send ${i}` };
      const both = await Promise.all(clients.map((client) => client.ask<Ack>('send_message', send, room)));
      const [one, other] = both.map(({ seq_no, rev, created_at }) => ({ seq_no, rev, created_at }));
      expect(one).toEqual(other);
      expect(both.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    }
    const history = await wholeHistory(rest, ann.token, room);
    expect(history.map(({ seq_no, content }) => [seq_no, content])).toEqual(
      Array.from({ length: SENDS }, (_, i) => [i + 1, `send ${i}`]),
    );
    await Promise.all(clients.map((client) => client.close()));
  });

  test(`killed in turn ${KILLS} times under load, they keep every promise`, {
    timeout: 400_000,
  }, async () => {
    const world = await startWorld({ origins, clients: 6, rooms: 3, depth: 3, pauseMs: 5 });
    for (let kill = 0; kill < KILLS; kill++) {
      const index = kill % 2;
      await acks(world, 60);
      up[index] = false;
      await nodes.restart(index);
      up[index] = true;
    }
    await acks(world, 100);
    expect(await world.judge()).toEqual([]);
  });

  test('stopped and started one after the other under load, no command goes without its answer', {
    timeout: 120_000,
  }, async () => {
    const world = await startWorld({ origins, clients: 6, rooms: 3, depth: 3, pauseMs: 5 });
    for (const index of [0, 1, 0, 1]) {
      await acks(world, 200);
      up[index] = false;
      expect(await must(nodes.servers[index]).stop()).toEqual({ code: 0, signal: null });
      await acks(world, 100);
      await nodes.start(index);
      up[index] = true;
    }
    await acks(world, 200);
    expect(await world.judge()).toEqual([]);
  });
});
