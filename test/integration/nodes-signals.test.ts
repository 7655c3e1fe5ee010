import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, until } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { enter, listen } from '../helpers/signals.js';

describe.skipIf(!hasRedis)('two nodes with Redis (skipped where the machine has no redis-server)', () => {
  let redis: RedisServer;
  let nodes: Nodes;
  let here: Rest;
  let there: Rest;
  let thereWs: string;

  beforeAll(async () => {
    redis = await startRedis();
    // Partitions fall to other shards on each node.
    nodes = await startNodes(['2', '3'].map((SHARDS) => ({ SHARDS, REDIS_URL: redis.url })));
    [here, there] = [restClient(nodes.node(0).url), restClient(nodes.node(1).url)];
    thereWs = nodes.node(1).wsUrl;
  });
  afterAll(async () => {
    await nodes?.stop();
    await redis?.kill();
  });

  test.each(['json', 'msgpack'] as const)(
    'what happens outside of the log on one node is heard (%s) on the other: members, rooms, typing, receipts',
    async (encoding) => {
      const [ann, ben, eve] = [await newAccount(here), await newAccount(here), await newAccount(here)];
      const { id: room } = await newRoom(here, ann, [ben]);
      const benThere = await enter(thereWs, ben, room, encoding);
      const annHere = await enter(nodes.node(0).wsUrl, ann, room);
      const eveThere = await listen(thereWs, eve, encoding);

      dataOf(await here.addMember(ann.token, room, eve.id, 'moderator'));
      expect((await benThere.hears('member_joined', eve)).payload).toMatchObject({ role: 'moderator' });
      const added = await eveThere.next(({ type }) => type === 'room_added', 'room_added on the other node');
      expect(added.payload).toMatchObject({ room: { id: room } });
      const { id: made } = await newRoom(here, eve);
      const { id: open } = await newRoom(here, ann);
      dataOf(await here.join(eve.token, open));
      for (const id of [made, open]) {
        const own = await eveThere.next(({ type }) => type === 'room_added', 'a room of her own doing');
        expect(own.room_id).toBe(id);
      }

      dataOf(await here.patchMember(ann.token, room, eve.id, { role: 'member' }));
      expect((await benThere.hears('member_updated', eve)).payload).toMatchObject({ role: 'member' });

      annHere.sendFrame({ type: 'user_typing', room_id: room });
      await benThere.hears('user_typing', ann);
      annHere.sendFrame({ type: 'user_stopped_typing', room_id: room });
      await benThere.hears('user_stopped_typing', ann);

      const { seq_no } = dataOf(await there.send(ben.token, room, { content: 'read this' }));
      await annHere.ask('mark_read', { seq_no }, room);
      expect((await benThere.hears('read_receipt', ann)).payload).toMatchObject({ seq_no });

      dataOf(await here.patch(`/rooms/${room}`, ann.token, { name: 'another name' }));
      const updated = await benThere.next(({ type }) => type === 'room_updated', 'room_updated');
      expect(updated.payload).toMatchObject({ room: { name: 'another name' } });

      expect((await here.removeMember(ann.token, room, eve.id)).status).toBe(200);
      const removed = await eveThere.next(({ type }) => type === 'removed_from_room', 'removed_from_room');
      expect(removed.payload).toMatchObject({ room_id: room, reason: 'removed' });
      await benThere.hears('member_left', eve);

      expect((await here.delete(`/rooms/${room}`, ann.token)).status).toBe(200);
      await benThere.next(({ type }) => type === 'room_deleted', 'room_deleted');
      await Promise.all([annHere.close(), benThere.close(), eveThere.close()]);
    },
  );

  test('who leaves on one node and comes back on the other is not cut off by news of his leaving', async () => {
    const [ann, ben] = [await newAccount(here), await newAccount(here)];
    const { id: room } = await newRoom(here, ann, [ben]);
    const benThere = await listen(thereWs, ben);
    for (let round = 0; round < 30; round++) {
      expect((await here.leave(ben.token, room)).status).toBe(200);
      expect((await there.join(ben.token, room)).status).toBe(200);
      // A join that met the news of the leaving on its way is asked for again, and then holds.
      await until(async () => (await benThere.request('join_room', {}, room)).type === 'joined', 'joined');
      const { id } = dataOf(await here.send(ann.token, room, { content: `round ${round}` }));
      await benThere.next(
        ({ type, payload }) => type === 'new_message' && (payload.message as { id: string }).id === id,
        `the message of round ${round}`,
      );
    }
    // Nor by what the database tells of it later.
    const last = dataOf(await here.patchMember(ann.token, room, ben.id, { role: 'moderator' }));
    expect(last.role).toBe('moderator');
    await benThere.hears('member_updated', ben);
    const { id } = dataOf(await here.send(ann.token, room, { content: 'at last' }));
    const heard = must(
      await benThere.next(
        ({ type, payload }) => type === 'new_message' && (payload.message as { id: string }).id === id,
        'the last message',
      ),
    );
    expect(heard.room_id).toBe(room);
    await benThere.close();
  });
});
