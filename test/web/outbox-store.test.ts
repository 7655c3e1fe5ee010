import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { until } from '../helpers/deadline.js';
import { newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { hasBrowser, openPage } from './browser.js';
import { staticSite } from './static-site.js';

/** A page that knows the client alone; what it sends lives in Chromium's own IndexedDB. */
const PAGE = `<!doctype html><title>Outbox</title><script type="module">
  import { createClient, IndexedDBStore } from '/dist/client/src/index.js';
  const { url, token, room } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const client = createClient({ url, token: async () => token, store: new IndexedDBStore('parley-test') });
  client.on('error', () => {});
  client.connect().catch(() => {});
  globalThis.outbox = () => client.outbox().map((entry) => entry.body.content + ': ' + entry.state);
  globalThis.say = (content) => void client.room(room).send(content).sent.catch(() => {});
  globalThis.stored = () => new IndexedDBStore('parley-test').load().then((all) => all.length);
</script>`;

describe.skipIf(!hasBrowser)(
  'the outbox in IndexedDB (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
  () => {
    let database: TestDatabase;
    let site: string;
    let server: Server;

    const start = (port: number): Promise<Server> =>
      startServer({
        env: { DATABASE_URL: database.url, SERVER_PORT: String(port), ALLOWED_ORIGINS: site },
      });

    beforeAll(async () => {
      database = await createTestDatabase();
      site = await staticSite({ '/outbox.html': PAGE });
      server = await start(0);
    });
    afterAll(async () => {
      server.kill('SIGKILL');
      await server.exit;
      await database.drop();
    });

    test('messages queued offline survive reloads and are sent exactly once, in order', async () => {
      const rest = restClient(server.url);
      const ann = await newAccount(rest, 'ann');
      const room = await newRoom(rest, ann);
      server.kill('SIGKILL');
      await server.exit;

      const { url } = server;
      const hash = new URLSearchParams({ url, token: ann.token, room: room.id });
      const page = await openPage(`${site}/outbox.html#${hash}`);
      const stored = () => page.evaluate<number>('stored()');
      const outbox = () => page.evaluate<string[]>('outbox()');
      const said = ['one', 'two', 'three', 'four', 'five'];
      for (const content of said.slice(0, 4)) await page.evaluate(`say('${content}')`);
      await until(async () => (await stored()) === 4, 'four messages in the store');
      await page.reload();
      await until(async () => (await outbox()).length === 4, 'four messages loaded from the store');
      expect((await outbox()).map((entry) => entry.split(':')[0])).toEqual(said.slice(0, 4));
      await page.evaluate(`say('five')`);
      await until(async () => (await stored()) === 5, 'the fifth beside them');
      await page.reload();

      server = await start(server.port);
      await until(async () => (await stored()) === 0, 'an empty store', 30_000);
      await page.reload();
      await page.waitForFunction('globalThis.outbox !== undefined');
      expect(await outbox()).toEqual([]);
      const history = await wholeHistory(rest, ann.token, room.id);
      expect(history.map(({ content }) => content)).toEqual(said);
      expect(await stored()).toBe(0);
    });
  },
);
