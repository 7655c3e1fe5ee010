import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { until } from '../helpers/deadline.js';
import {
  type Account,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { composer, hasBrowser, openRoom, pageOf, rowOf, say, shownTexts } from './browser.js';

describe.skipIf(!hasBrowser)(
  'kill -9 (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
  () => {
    let database: TestDatabase;
    let server: Server;
    let rest: Rest;
    let ann: Account;
    let ben: Account;

    const start = (port: number): Promise<Server> =>
      startServer({ env: { DATABASE_URL: database.url, SERVER_PORT: String(port) } });

    beforeAll(async () => {
      database = await createTestDatabase();
      server = await start(0);
      rest = restClient(server.url);
      ann = await newAccount(rest, 'ann');
      ben = await newAccount(rest, 'ben');
    });
    afterAll(async () => {
      server.kill('SIGKILL');
      await server.exit;
      await database.drop();
    });

    test('what is typed and sent while the server is dead goes out when it is back: nothing lost, nothing twice', async () => {
      const room = await newRoom(rest, ann, [ben]);
      const one = await pageOf(server.url, ann, room.name ?? '');
      const two = await pageOf(server.url, ben, room.name ?? '');
      for (let n = 1; n <= 3; n++) await say(n % 2 === 0 ? two : one, `number ${n}`);
      await rowOf(two, 'number 3').waitFor();
      await composer(one).pressSequentially('numb');
      server.kill('SIGKILL');
      await server.exit;
      await composer(one).pressSequentially('er 4');
      await composer(one).press('Enter');
      await one.getByText(/^No connection\./).waitFor();
      await rowOf(one, 'number 4').getByText('Waiting to be sent').waitFor();
      await say(two, 'number 5');
      await rowOf(two, 'number 5').getByText('Waiting to be sent').waitFor();

      server = await start(server.port);
      for (const page of [one, two]) {
        await until(async () => (await shownTexts(page, /number \d/)).length === 5, 'all five', 30_000);
        await page.getByText(/^No connection\./).waitFor({ state: 'detached' });
        expect(await page.getByText('Waiting to be sent').count()).toBe(0);
      }
      const said = (await wholeHistory(rest, ann.token, room.id)).map(({ content }) => content);
      expect([...said].sort()).toEqual([1, 2, 3, 4, 5].map((n) => `number ${n}`));
      for (const page of [one, two]) expect(await shownTexts(page, /number \d/)).toEqual(said);
    });

    test('a message that waits survives a reload of the page', async () => {
      const room = await newRoom(rest, ann, [ben]);
      const page = await pageOf(server.url, ann, room.name ?? '');
      server.kill('SIGKILL');
      await server.exit;
      await page.getByText(/^No connection\./).waitFor();
      await say(page, 'kept over a reload');
      await rowOf(page, 'kept over a reload').getByText('Waiting to be sent').waitFor();
      server = await start(server.port);
      await page.reload();
      await openRoom(page, room.name ?? '');
      await rowOf(page, 'kept over a reload').getByText('Sent', { exact: true }).waitFor();
      const said = await wholeHistory(rest, ann.token, room.id);
      expect(said.map(({ content }) => content)).toEqual(['kept over a reload']);
    });
  },
);
