import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { choose, composer, hasBrowser, logIn, openPage, openRoom, rowOf } from './browser.js';

describe.skipIf(!hasBrowser)(
  'axe-core (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
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

    test.each(['light', 'dark'] as const)('finds nothing on any view, %s', async (colorScheme) => {
      const room = await newRoom(rest, ann, [ben]);
      const sent = dataOf(
        await rest.send(ben.token, room.id, { content: `@${ann.username} see https://example.org` }),
      );
      await rest.send(ann.token, room.id, { content: 'an answer', reply_to: sent.id });
      await rest.send(ben.token, room.id, { content: 'in a thread', thread_root: sent.id });
      await rest.react(ann.token, sent.id, '👍');
      await rest.pin(ann.token, sent.id);
      await newRoom(rest, ben, [ann]);
      // axe-core writes into the page what the page's policy forbids.
      const page = await openPage(server.url, { colorScheme, bypassCSP: true });
      await page.getByLabel('Email').waitFor();
      await clean(page, 'log-in');
      await page.getByRole('button', { name: 'I am new here' }).click();
      await clean(page, 'registration');
      await page.getByRole('button', { name: 'I have an account' }).click();
      await logIn(page, ann);
      await clean(page, 'rooms');
      await openRoom(page, room.name ?? '');
      await rowOf(page, 'an answer').waitFor();
      await clean(page, 'room');
      await rowOf(page, 'an answer').hover();
      await composer(page).fill('Hello @be');
      await composer(page).press('End');
      await composer(page).pressSequentially('n');
      await page.getByRole('option').first().waitFor();
      await clean(page, 'completion');
      await page.keyboard.press('Escape');
      for (const panel of ['Search', 'Pins', 'Members', 'Room']) {
        await page.getByRole('button', { name: panel, exact: true }).click();
        await page.getByRole('complementary').waitFor();
        if (panel === 'Search') {
          await page.getByRole('searchbox').fill('answer');
          await page.locator('mark').first().waitFor();
        }
        await clean(page, panel);
      }
      for (const tab of ['Audit log', 'Bans']) {
        await page.getByRole('button', { name: tab }).click();
        await page
          .getByRole('complementary')
          .getByText(tab === 'Bans' ? 'Nobody' : 'message pinned')
          .first()
          .waitFor();
        await clean(page, tab);
      }
      await choose(page, 'see https', 'Reply in thread');
      await page.getByRole('complementary', { name: 'Thread' }).getByText('in a thread').first().waitFor();
      await clean(page, 'thread');
      await rowOf(page, 'see https').first().hover();
      await rowOf(page, 'see https')
        .first()
        .getByRole('button', { name: /^Actions/ })
        .click();
      await clean(page, 'menu');
      await page.getByRole('menuitem', { name: 'Report' }).click();
      await clean(page, 'question');
      await page.keyboard.press('Escape');
      for (const [menu, entries] of [
        ['New room or message', ['Create a room', 'Discover rooms', 'Direct message']],
        [`Account of ${ann.username}`, ['Profile', 'Devices']],
      ] as const) {
        for (const entry of entries) {
          await page.getByRole('button', { name: menu }).click();
          await page.getByRole('menuitem', { name: entry }).click();
          await page.getByRole('dialog').waitFor();
          await clean(page, entry);
          await page.keyboard.press('Escape');
        }
      }
      await page.getByRole('button', { name: /^Connection/ }).click();
      await clean(page, 'connection');
    });
  },
);

async function clean(page: Page, where: string): Promise<void> {
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document);
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`,
    );
  });
  expect(found, where).toEqual([]);
}
