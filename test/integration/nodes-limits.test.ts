import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import { busesHealthy, metric, type Nodes, startNodes } from '../helpers/nodes.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';
import { dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';

const PER_MINUTE = 40;
const AUTH_PER_MINUTE = 12;
const UPLOADS_PER_MINUTE = 4;

describe.skipIf(!hasRedis)('limits of REST over two nodes (skipped where there is no redis-server)', () => {
  let redis: RedisServer;
  let nodes: Nodes;
  let rests: Rest[];

  beforeAll(async () => {
    redis = await startRedis();
    const env = {
      RATE_LIMIT_PER_MINUTE: String(PER_MINUTE),
      AUTH_RATE_LIMIT_PER_MINUTE: String(AUTH_PER_MINUTE),
      UPLOADS_PER_MINUTE: String(UPLOADS_PER_MINUTE),
    };
    nodes = await startNodes(['2', '1'].map((SHARDS) => ({ ...env, SHARDS, REDIS_URL: redis.url })));
    rests = nodes.servers.map(({ url }) => restClient(url));
  });
  afterAll(async () => {
    await nodes?.stop();
    await redis?.kill();
  });

  /** Asks both nodes in turn; how many of the requests were let through. */
  async function allowed(
    requests: number,
    ask: (rest: Rest) => Promise<{ status: number }>,
  ): Promise<number> {
    let count = 0;
    for (let i = 0; i < requests; i++) {
      const { status } = await ask(must(rests[i % 2]));
      expect(status === 429 || status < 500).toBe(true);
      if (status !== 429) count++;
    }
    return count;
  }

  test('a user’s requests count together, whichever node takes them; without Redis each node counts its own', {
    timeout: 60_000,
  }, async () => {
    const [ann, ben] = [await newAccount(must(rests[0])), await newAccount(must(rests[0]))];
    // The first ones may find a node's connection to Redis not made yet.
    await busesHealthy(nodes.servers, true);
    const mine = (token: string) => (rest: Rest) => rest.get('/users/me', token);
    const before = await Promise.all(
      nodes.servers.map((server) => metric(server, 'parley_limits_fallback_total')),
    );
    const together = await allowed(2 * PER_MINUTE, mine(ann.token));
    const after = await Promise.all(
      nodes.servers.map((server) => metric(server, 'parley_limits_fallback_total')),
    );
    const fallbacks = after.reduce((sum, count, i) => sum + count - must(before[i]), 0);
    expect(together).toBeGreaterThanOrEqual(PER_MINUTE);
    expect(together).toBeLessThanOrEqual(PER_MINUTE + fallbacks); // none of which there is on an idle machine
    await redis.stop();
    await busesHealthy(nodes.servers, false);
    expect(await allowed(4 * PER_MINUTE, mine(ben.token))).toBe(2 * PER_MINUTE);
    const counted = async () =>
      (await metric(nodes.node(0), 'parley_limits_fallback_total')) > must(after[0]);
    await until(counted, 'the fallback being counted');
    await redis.start();
    await busesHealthy(nodes.servers, true);
  });

  test('uploads and what is asked of attachments count together too', { timeout: 60_000 }, async () => {
    const cat = await newAccount(must(rests[0]));
    const { id: room } = await newRoom(must(rests[0]), cat);
    await busesHealthy(nodes.servers, true);
    const fallbacks = async () => {
      const each = nodes.servers.map((server) => metric(server, 'parley_limits_fallback_total'));
      return (await Promise.all(each)).reduce((sum, count) => sum + count, 0);
    };
    const before = await fallbacks();
    const file = { name: 'a.txt', type: 'text/plain', bytes: Buffer.from('a file') };
    const kept: string[] = [];
    const uploads = await allowed(3 * UPLOADS_PER_MINUTE, async (rest) => {
      const { url } = must(nodes.servers[rests.indexOf(rest)]);
      const answer = await upload(url, cat.token, room, file);
      if (answer.status === 201) kept.push(dataOf(answer).id);
      return answer;
    });
    expect(uploads).toBeGreaterThanOrEqual(UPLOADS_PER_MINUTE);
    expect(uploads).toBeLessThanOrEqual(UPLOADS_PER_MINUTE + (await fallbacks()) - before);
    const seen = await allowed(2 * PER_MINUTE, (rest) => rest.get(`/attachments/${kept[0]}`, cat.token));
    expect(seen).toBeLessThanOrEqual(PER_MINUTE + (await fallbacks()) - before);
  });

  test('attempts to log in from one address count together', { timeout: 60_000 }, async () => {
    const wrong = (rest: Rest) => rest.login({ email: 'nobody@example.org', password: 'not the password' });
    // Registrations have been counted.
    expect(await allowed(3 * AUTH_PER_MINUTE, wrong)).toBeLessThanOrEqual(AUTH_PER_MINUTE);
  });
});
