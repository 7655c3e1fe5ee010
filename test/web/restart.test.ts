import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { startTcpProxy } from '../helpers/tcp-proxy.js';
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
        await until(
          async () => (await page.getByText('Waiting to be sent').count()) === 0,
          'all sent',
          30_000,
        );
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

    test('what happened to rooms while the page had no connection is there when it is back, without a reload', async () => {
      const lobby = await newRoom(rest, ann, [ben]);
      const [lost, busy] = [await newRoom(rest, ann, [ben]), await newRoom(rest, ann, [ben])];
      const joined = await newRoom(rest, ann);
      const old = dataOf(await rest.send(ann.token, lobby.id, { content: 'to be pinned' }));
      const proxy = await startTcpProxy(() => server.port);
      try {
        const page = await pageOf(proxy.url, ben, lobby.name ?? '');
        const rooms = page.getByRole('navigation', { name: 'Rooms' });
        const banner = page.getByText(/^No connection\./);
        await page.getByText('2 members, 1 online').waitFor();
        await page.getByRole('button', { name: 'Pins' }).click();
        await page.getByText('Nothing is pinned.').waitFor();
        proxy.refuse(true);
        proxy.cut();
        await banner.waitFor();

        const secret = dataOf(
          await rest.createRoom(ann.token, {
            name: freshName('secret'),
            type: 'private',
            member_ids: [ben.id],
          }),
        );
        const renamed = freshName('foyer');
        const mention = { content: `@${ben.username} look` };
        for (const { id } of [secret, busy]) dataOf(await rest.send(ann.token, id, mention));
        dataOf(await rest.patch(`/rooms/${lobby.id}`, ann.token, { name: renamed, slow_mode_s: 30 }));
        dataOf(await rest.patchMember(ann.token, lobby.id, ben.id, { role: 'moderator' }));
        dataOf(await rest.pin(ann.token, old.id));
        expect((await rest.removeMember(ann.token, lost.id, ben.id)).status).toBe(200);
        expect((await rest.join(ben.token, joined.id)).status).toBe(200);
        proxy.refuse(false);
        await banner.waitFor({ state: 'detached' });

        for (const name of [secret.name, busy.name])
          await rooms.getByRole('button', { name: `${name}, 1 mention, 1 unread`, exact: true }).waitFor();
        await rooms.getByRole('button', { name: joined.name ?? '', exact: true }).waitFor();
        await rooms.getByRole('button', { name: renamed, exact: true }).waitFor();
        await rooms.getByRole('button', { name: lost.name ?? '' }).waitFor({ state: 'detached' });
        await page.getByText('2 members, 1 online, slow mode 30 s').waitFor();
        await page
          .getByRole('complementary', { name: 'Pinned messages' })
          .getByText('to be pinned')
          .waitFor();
        await page.getByRole('button', { name: 'Members' }).click();
        await page
          .getByRole('complementary')
          .locator('.person', { hasText: ben.username })
          .getByText('moderator')
          .waitFor();
        await page.getByRole('button', { name: 'Room', exact: true }).click();
        await page.getByRole('button', { name: 'Audit log' }).waitFor();
        // What is there now is heard from now on.
        dataOf(await rest.send(ann.token, secret.id, mention));
        await rooms
          .getByRole('button', { name: `${secret.name}, 2 mentions, 2 unread`, exact: true })
          .waitFor();
      } finally {
        await proxy.close();
      }
    });

    test('a room left on another device goes at once; one joined there is found when the page is looked at', async () => {
      const [left, joined] = [await newRoom(rest, ann, [ben]), await newRoom(rest, ann)];
      const page = await pageOf(server.url, ben, left.name ?? '');
      const rooms = page.getByRole('navigation', { name: 'Rooms' });
      await page.getByText('2 members, 1 online').waitFor();
      expect((await rest.leave(ben.token, left.id)).status).toBe(200);
      await rooms.getByRole('button', { name: left.name ?? '' }).waitFor({ state: 'detached' });
      for (const { id } of [joined, left]) expect((await rest.join(ben.token, id)).status).toBe(200);
      await page.evaluate(() => dispatchEvent(new Event('focus')));
      for (const { id, name } of [joined, left]) {
        await rooms.getByRole('button', { name: name ?? '' }).click();
        await page.getByText('2 members').waitFor();
        dataOf(await rest.send(ann.token, id, { content: `welcome to ${name}` }));
        await rowOf(page, `welcome to ${name}`).waitFor();
      }
    });
  },
);
