import { afterAll, beforeAll, expect, test } from 'vitest';
import { metric } from '../helpers/nodes.js';
import { newAccount, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

const PER_MINUTE = 40;
const AUTH_PER_MINUTE = 12;
const AT_ONCE = 16; // connections, which the kernel deals out to the processes

let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase({
    PROCESSES: '2',
    SHARDS: '1',
    RATE_LIMIT_PER_MINUTE: String(PER_MINUTE),
    AUTH_RATE_LIMIT_PER_MINUTE: String(AUTH_PER_MINUTE),
  });
  rest = restClient(server.url);
});
afterAll(() => server?.stop());

/** How many of the requests were let through, and how many of them on the word of one process alone. */
async function allowed(requests: number, ask: () => Promise<{ status: number }>) {
  const fallbacks = () => metric(server, 'parley_limits_fallback_total');
  const before = await fallbacks();
  let count = 0;
  for (let asked = 0; asked < requests; asked += AT_ONCE) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, ask));
    count += answers.filter(({ status }) => status !== 429).length;
  }
  return { count, alone: (await fallbacks()) - before };
}

test('a user’s requests and an address’ log-ins count together in all processes of a server without Redis', async () => {
  const ann = await newAccount(rest, 'ann');
  const mine = await allowed(4 * PER_MINUTE, () => rest.get('/users/me', ann.token));
  expect(mine.count).toBeGreaterThanOrEqual(PER_MINUTE);
  expect(mine.count).toBeLessThanOrEqual(PER_MINUTE + mine.alone); // none of which there is on an idle machine

  const body = { email: 'nobody@example.org', password: 'not the password' };
  const logins = await allowed(6 * AUTH_PER_MINUTE, () => rest.login(body));
  expect(logins.count).toBeLessThanOrEqual(AUTH_PER_MINUTE + logins.alone);
});
