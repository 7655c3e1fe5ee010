import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import {
  choose,
  composer,
  hasBrowser,
  logIn,
  openPage,
  openRoom,
  pageOf,
  rowOf,
  say,
  shownTexts,
  timeline,
} from './browser.js';

describe.skipIf(!hasBrowser)(
  'two browsers (skipped where the machine has no Chromium)',
  { timeout: 90_000 },
  () => {
    let server: Server;
    let rest: Rest;
    let ann: Account;
    let ben: Account;

    beforeAll(async () => {
      server = await startServerWithDatabase();
      rest = restClient(server.url);
      ann = await newAccount(rest, 'ann');
      ben = await newAccount(rest, 'ben');
    });

    test('somebody registers, makes a room, and another finds and joins it; messages appear live both ways', async () => {
      const name = freshName('Harbour');
      const [one, two] = [await openPage(server.url), await openPage(server.url)];
      const [dora, emil] = [freshName('dora'), freshName('emil')];
      for (const [page, username] of [
        [one, dora],
        [two, emil],
      ] as const) {
        await page.getByText(/^A chat server/).waitFor();
        await page.getByRole('button', { name: 'I am new here' }).click();
        await page.getByLabel('User name').fill(username);
        await page.getByLabel('Email').fill(`${username}@example.org`);
        await page.getByLabel('Password').fill('a long password');
        await page.getByRole('button', { name: 'Create an account' }).click();
      }
      const view = one.getByRole('main');
      await view.getByText('You are in no room yet').waitFor();
      await view.getByRole('button', { name: 'Create a room' }).click();
      await one.getByLabel('Name', { exact: true }).fill(name);
      await one.getByRole('button', { name: 'Create', exact: true }).click();
      await composer(one).waitFor();

      await two.getByRole('main').getByRole('button', { name: 'Discover rooms' }).click();
      await two.getByLabel('Name or description').fill(name);
      await two.getByRole('dialog').getByRole('button', { name }).click();
      await say(two, 'Is anybody here?');
      await rowOf(one, 'Is anybody here?').waitFor();
      await composer(one).pressSequentially('I am');
      await two.getByText(`${dora} is typing…`).waitFor();
      await composer(one).press('Enter');
      await rowOf(two, 'I am').first().waitFor();
      await one.getByText(`Seen by ${emil}`).waitFor();
      expect(await shownTexts(one, /Is anybody here\?|I am/)).toEqual(['Is anybody here?', 'I am']);

      // A room that isn't open counts; a mention counts apart.
      await two.getByRole('button', { name: 'New room or message' }).click();
      await two.getByRole('menuitem', { name: 'Direct message' }).click();
      await two.getByRole('dialog').getByLabel('User name').fill(dora);
      await two.getByRole('dialog').getByRole('button', { name: dora }).click();
      await two.getByRole('textbox', { name: `Message to ${dora}` }).waitFor();
      await say(one, `Hello @${emil}`);
      await two.getByRole('button', { name: `${name}, 1 mention, 1 unread` }).waitFor();
      await say(two, 'Just us');
      await one.getByRole('button', { name: `${emil}, online, 1 unread` }).click();
      await rowOf(one, 'Just us').waitFor();
    });

    test('messages are edited, deleted, reacted to, answered, pinned and found', async () => {
      const room = await newRoom(rest, ann, [ben]);
      const one = await pageOf(server.url, ann, room.name ?? '');
      const two = await pageOf(server.url, ben, room.name ?? '');
      await say(one, 'The ferry leaves at noon');
      await rowOf(two, 'The ferry leaves at noon').waitFor();

      await choose(one, 'The ferry', 'Edit');
      await until(
        async () => (await composer(one).inputValue()) === 'The ferry leaves at noon',
        'the text to edit',
      );
      await say(one, 'The ferry leaves at one');
      await rowOf(two, 'The ferry leaves at one (edited)').waitFor();

      await choose(two, 'The ferry', 'React');
      await two.getByRole('menuitem', { name: 'party' }).click();
      await one.getByRole('button', { name: '🎉 1' }).click();
      await two.getByRole('button', { name: '🎉 2', pressed: true }).waitFor();

      await choose(two, 'The ferry', 'Reply');
      await say(two, 'Thank you');
      await rowOf(one, 'Thank you')
        .getByRole('button', { name: /The ferry leaves at one/ })
        .waitFor();

      await choose(two, 'The ferry', 'Reply in thread');
      await two.getByRole('textbox', { name: 'Reply in the thread' }).fill('From which pier?');
      await two.getByRole('textbox', { name: 'Reply in the thread' }).press('Enter');
      await two.getByRole('complementary', { name: 'Thread' }).getByText('From which pier?').waitFor();
      await rowOf(one, 'The ferry').getByRole('button', { name: '1 reply' }).first().click();
      await one.getByRole('complementary', { name: 'Thread' }).getByText('From which pier?').waitFor();
      await one.keyboard.press('Escape');

      await choose(one, 'The ferry', 'Pin');
      await two.getByRole('button', { name: 'Pins' }).click();
      await two
        .getByRole('complementary', { name: 'Pinned messages' })
        .getByText('The ferry leaves at one')
        .waitFor();

      await two.getByRole('button', { name: 'Search' }).click();
      await two.getByRole('searchbox').fill('ferry');
      expect(
        await two.getByRole('complementary', { name: 'Search' }).locator('mark').first().textContent(),
      ).toBe('ferry');
      await two.getByRole('button', { name: /^Show the message/ }).click();
      await until(
        () => two.evaluate(() => document.activeElement?.textContent?.includes('The ferry')),
        'the message found',
      );

      await choose(two, 'Thank you', 'Delete');
      await two.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await rowOf(one, 'This message was deleted.').waitFor();
    });

    test('names are completed after @, Shift+Enter makes a line, and a session ended elsewhere leads to the log-in form', async () => {
      const room = await newRoom(rest, ann, [ben]);
      const one = await pageOf(server.url, ann, room.name ?? '');
      const two = await pageOf(server.url, ben);
      await composer(one).pressSequentially('Hi @be');
      await one.getByRole('option', { name: ben.username }).waitFor();
      await composer(one).press('Enter');
      const completed = `Hi @${ben.username} `;
      await until(async () => (await composer(one).inputValue()) === completed, 'the name');
      await composer(one).press('Shift+Enter');
      await composer(one).pressSequentially('and bye');
      await composer(one).press('Enter');
      await two.getByRole('button', { name: `${room.name}, 1 mention, 1 unread` }).click();
      await rowOf(two, 'and bye').locator('.mention.own').waitFor();

      const other = await openPage(server.url);
      await logIn(other, ann);
      await other.getByRole('button', { name: /^Account of/ }).click();
      await other.getByRole('menuitem', { name: 'Devices' }).click();
      for (const end of await other.getByRole('button', { name: /^End the session/ }).all())
        await end.waitFor();
      await until(async () => {
        const end = other.getByRole('button', { name: /^End the session/ }).first();
        if ((await end.count()) > 0) await end.click();
        return (await one.getByRole('button', { name: 'Log in' }).count()) > 0;
      }, 'the log-in form');
    });

    test('whoever chose to be invisible sees it, after a reload too, and whoever is in no room sees to be online', async () => {
      const zoe = await newAccount(rest, 'zoe');
      const two = await pageOf(server.url, zoe);
      const shownAs = (status: string) =>
        two.getByRole('button', { name: `Account of ${zoe.username}, ${status}`, exact: true }).waitFor();
      await shownAs('online');
      const room = await newRoom(rest, ann, [zoe]);
      const one = await pageOf(server.url, ann, room.name ?? '');
      await two.reload();
      await openRoom(two, room.name ?? '');
      await two.getByText('2 members, 2 online').waitFor();
      const choose = async (label: string): Promise<void> => {
        await two.getByRole('button', { name: /^Account of/ }).click();
        await two.getByRole('menuitem', { name: 'Profile' }).click();
        await two.getByLabel('Shown as').selectOption({ label });
        await two.getByRole('button', { name: 'Save' }).click();
      };
      await choose('Invisible');
      await shownAs('offline');
      for (const page of [one, two]) await page.getByText('2 members, 1 online').waitFor();
      await two.getByRole('button', { name: 'Members' }).click();
      const own = two.getByRole('complementary').locator('.person', { hasText: zoe.username });
      await own.getByRole('img', { name: 'offline' }).waitFor();
      await two.reload();
      await openRoom(two, room.name ?? '');
      await two.getByText('2 members, 1 online').waitFor();
      await shownAs('offline');
      await choose('Online');
      await shownAs('online');
      for (const page of [one, two]) await page.getByText('2 members, 2 online').waitFor();
    });

    test('the profile changes, presence shows it, and MessagePack carries the same', async () => {
      const room = await newRoom(rest, ann, [ben]);
      const one = await pageOf(server.url, ann, room.name ?? '');
      const two = await pageOf(server.url, ben, room.name ?? '');
      await one.getByRole('button', { name: 'Members' }).click();
      await one.getByRole('button', { name: new RegExp(`^${ben.username}, online`) }).waitFor();
      await two.getByRole('button', { name: /^Account of/ }).click();
      await two.getByRole('menuitem', { name: 'Profile' }).click();
      await two.getByLabel('Shown as').selectOption('away');
      await two.getByLabel('User name').fill(`${ben.username}_2`);
      await two.getByRole('button', { name: 'Save' }).click();
      await one.getByRole('button', { name: new RegExp(`^${ben.username}_2, away`) }).waitFor();

      await two.getByRole('button', { name: /^Connection:/ }).click();
      await two.getByLabel('Encoding').selectOption('msgpack');
      await two.getByText('Request and answer').waitFor();
      await two.keyboard.press('Escape');
      await two.getByRole('dialog').waitFor({ state: 'hidden' }); // it gives the focus back as it goes
      await two.getByRole('button', { name: 'Connection: online' }).waitFor();
      await say(two, 'In bytes');
      await rowOf(one, 'In bytes').waitFor();
      await say(one, 'In text');
      await rowOf(two, 'In text').waitFor();
      await two.reload();
      await openRoom(two, room.name ?? '');
      await rowOf(two, 'In text').waitFor();
      const history = dataOf(await rest.messages(ann.token, room.id));
      expect(history.map(({ content }) => content)).toEqual(['In text', 'In bytes']);
      expect(await timeline(two).getByRole('listitem').count()).toBe(2);
    });
  },
);
