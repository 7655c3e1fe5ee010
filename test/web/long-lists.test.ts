import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../helpers/deadline.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { choose, hasBrowser, pageOf, rowOf } from './browser.js';

const PAGE = 100; // entries that one answer holds at most
const MANY = PAGE + 20;
const AT_ONCE = 10; // requests under way

describe.skipIf(!hasBrowser)(
  'lists of more than a page (skipped where the machine has no Chromium)',
  { timeout: 180_000 },
  () => {
    let server: Server;
    let rest: Rest;
    let ann: Account;
    let many: Account[];

    beforeAll(async () => {
      server = await startServerWithDatabase();
      rest = restClient(server.url);
      ann = await newAccount(rest, 'ann');
      many = await inTurns(MANY, () => newAccount(rest, 'many'));
    }, 120_000);

    test('a thread is read to its newest reply, and what comes meanwhile stands behind the rest', async () => {
      const room = await newRoom(rest, ann);
      const root = dataOf(await rest.send(ann.token, room.id, { content: 'the root' }));
      const reply = (content: string) =>
        rest.send(ann.token, room.id, { content, thread_root: root.id }).then(dataOf);
      for (let n = 1; n <= MANY; n++) await reply(`reply ${n}.`);
      const page = await pageOf(server.url, ann, room.name ?? '');
      await rowOf(page, `reply ${MANY}.`).waitFor();
      const panel = page.getByRole('complementary', { name: 'Thread' });
      const texts = () => panel.locator('.text').allTextContents();
      await page.locator('.timeline').evaluate((element) => element.scrollTo(0, 0));
      await until(async () => {
        await page.locator('.timeline').evaluate((element) => element.scrollTo(0, 0));
        return (await rowOf(page, 'the root').count()) > 0;
      }, 'the root');
      await choose(page, 'the root', 'Reply in thread');
      await panel.getByText(`reply ${PAGE}.`, { exact: true }).waitFor();
      await reply('live');
      await panel.getByText('live', { exact: true }).waitFor();
      const upTo = (last: number) => Array.from({ length: last }, (_, i) => `reply ${i + 1}.`);
      expect(await texts()).toEqual(['the root', ...upTo(PAGE), 'live']);
      await panel.getByRole('button', { name: 'More replies' }).click();
      await panel.getByText(`reply ${MANY}.`, { exact: true }).waitFor();
      expect(await texts()).toEqual(['the root', ...upTo(MANY), 'live']);
      expect(await panel.getByRole('button', { name: 'More replies' }).count()).toBe(0);
    });

    test('members, bans and the audit log go on after the first page', async () => {
      const room = await newRoom(rest, ann);
      await inTurns(MANY, (n) => rest.join(many[n]?.token ?? '', room.id));
      const page = await pageOf(server.url, ann, room.name ?? '');
      await page.getByRole('button', { name: 'Members' }).click();
      const people = page.getByRole('complementary').locator('.person');
      await people.nth(PAGE - 1).waitFor();
      expect(await people.count()).toBe(PAGE);
      await page.getByRole('button', { name: 'More members' }).click();
      await people.nth(MANY).waitFor();
      expect(await people.count()).toBe(MANY + 1);
      expect(await page.getByRole('button', { name: 'More members' }).count()).toBe(0);

      await inTurns(MANY, (n) =>
        rest.call('PUT', `/rooms/${room.id}/bans/${many[n]?.id}`, { token: ann.token, body: {} }),
      );
      await page.getByRole('button', { name: 'Room', exact: true }).click();
      for (const tab of ['Bans', 'Audit log']) {
        await page.getByRole('button', { name: tab }).click();
        const entries = page.getByRole('complementary').locator('.entries > li');
        // The tab before shows its entries until this one is there.
        await until(async () => (await entries.count()) === PAGE, `a page of ${tab}`);
        await page.getByRole('button', { name: 'More', exact: true }).click();
        await entries.nth(MANY - 1).waitFor();
        expect(await page.getByRole('button', { name: 'More', exact: true }).count()).toBe(0);
        if (tab === 'Bans') expect(new Set(await entries.allTextContents()).size).toBe(MANY);
      }
    });
  },
);

async function inTurns<T>(count: number, run: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < count) {
    const from = results.length;
    const turn = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, i) => run(from + i));
    results.push(...(await Promise.all(turn)));
  }
  return results;
}
