import { setTimeout as sleep } from 'node:timers/promises';
import { v7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { createTestDatabase } from '../helpers/database.js';
import { must, until, within } from '../helpers/deadline.js';
import { startLoad } from '../helpers/load.js';
import { hasNginx, startNginx } from '../helpers/nginx.js';
import { hasRedis, startRedis } from '../helpers/redis.js';
import { type Account, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';

const EXIT_DEADLINE_MS = 15_000;

describe.skipIf(!hasNginx || !hasRedis)(
  'two nodes behind nginx (skipped without nginx or redis-server)',
  () => {
    test('are restarted one after the other under load: no message is lost, no read fails', {
      timeout: 180_000,
    }, async () => {
      const database = await createTestDatabase();
      const redis = await startRedis();
      const ports = [
        await freePort({ host: '127.0.0.1', port: 0 }),
        await freePort({ host: '127.0.0.1', port: 0 }),
      ] as const;
      const start = (port: number): Promise<Server> =>
        startServer({
          env: {
            DATABASE_URL: database.url,
            REDIS_URL: redis.url,
            SERVER_PORT: String(port),
            SHARDS: '1',
            TRUST_PROXY: '127.0.0.1',
          },
        });
      const nodes = await Promise.all(ports.map(start));
      const nginx = await startNginx([ports[0], ports[1]]);
      const load = await startLoad({ server: () => nginx, members: 6, rooms: 2, ordered: false });
      const { id: roomId } = await newRoom(restClient(nginx.url), load.owner);
      const rest = startRest(nginx.url, load.owner, roomId);
      await load.acks(100);

      for (const [index, port] of ports.entries()) {
        const node = must(nodes[index]);
        node.kill('SIGTERM');
        expect(await within(node.exit, EXIT_DEADLINE_MS, 'the exit')).toEqual({ code: 0, signal: null });
        await load.acks(100); // through the other one
        nodes[index] = await start(port);
        const sockets = `http://127.0.0.1:${nodes[index]?.metricsPort}/metrics`;
        await until(
          async () => /^parley_ready\{[^}]*\} 1$/m.test(await (await fetch(sockets)).text()),
          'the node ready',
        );
        await rest.more(20);
      }
      await load.acks(100);
      expect(await rest.finish()).toEqual([]);
      expect(await load.finish()).toEqual([]);
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
      await database.drop();
    });
  },
);

/** Sends and reads over REST, one after the other; a send that gets no answer, or a 5xx, is repeated with its id. */
function startRest(url: string, account: Account, roomId: string) {
  const rest = restClient(url);
  const sent: string[] = [];
  const faults: string[] = [];
  let over = false;

  async function run(): Promise<void> {
    while (!over) {
      const id = v7();
      await until(
        async () => {
          const status = await rest.send(account.token, roomId, { id, content: `over REST ${id}` }).then(
            (answer) => answer.status,
            () => 0, // nginx' own 502 isn't JSON
          );
          return status === 200 || status === 201;
        },
        `the send of ${id}`,
        30_000,
      );
      sent.push(id);
      const read = await fetch(`${url}/api/v1/rooms/${roomId}`, {
        headers: { authorization: `Bearer ${account.token}` },
      });
      if (read.status !== 200) faults.push(`a read got ${read.status}`);
      await read.arrayBuffer();
      await sleep(5); // paces the load; nothing waits for it
    }
  }
  const running = run();
  running.catch(() => undefined);

  return {
    more: (count: number) => {
      const enough = sent.length + count;
      return until(() => sent.length >= enough, `${count} more sends over REST`, 30_000);
    },
    finish: async (): Promise<string[]> => {
      over = true;
      await running;
      const stored = (await wholeHistory(rest, account.token, roomId)).map(({ id }) => id);
      if (stored.join() !== sent.join()) faults.push(`${sent.length} sent, ${stored.length} stored`);
      return faults;
    },
  };
}
