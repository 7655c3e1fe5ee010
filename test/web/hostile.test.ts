import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../helpers/attachments.js';
import { type Account, dataOf, newAccount, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { choose, hasBrowser, pageOf, rowOf, timeline } from './browser.js';

/** What would call `trap()` in a page that took text for markup, addresses or code. */
const ATTACKS = [
  '<script>trap()</script>',
  '<img src=x onerror=trap()>',
  '<svg/onload=trap()>',
  '"><iframe srcdoc="<script>parent.trap()</script>">',
  `'"--></style></script><script>trap()</script>`,
  '<a href="javascript:trap()">x</a>',
  'javascript:trap()',
  'https://example.org/"onmouseover="trap()',
  'data:text/html,<script>trap()</script>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=trap()&gt;">',
  '{{constructor.constructor("trap()")()}}',
  '#{trap()} <%= trap() %>',
  '<mark><img src=x onerror=trap()></mark>',
  '&lt;img src=x onerror=trap()&gt;',
  '<details open ontoggle=trap()>',
  '@<img src=x onerror=trap()>',
];

describe.skipIf(!hasBrowser)(
  'hostile text (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
  () => {
    let server: Server;
    let rest: Rest;
    let ann: Account;
    let eve: Account;

    beforeAll(async () => {
      server = await startServerWithDatabase();
      rest = restClient(server.url);
      ann = await newAccount(rest, 'ann');
      eve = await newAccount(rest, 'eve');
    });

    test('is shown as what it is, in messages, names, files, pins, threads and search', async () => {
      const attack = ATTACKS.join(' ').slice(0, 90);
      const room = dataOf(
        await rest.createRoom(eve.token, { name: attack, description: ATTACKS.join(' '), type: 'public' }),
      );
      await rest.join(ann.token, room.id);
      for (const content of ATTACKS)
        dataOf(await rest.send(eve.token, room.id, { content: `needle ${content}` }));
      const names = ['<img src=x onerror=trap()>.txt', "'><script>trap()<.script>.txt"];
      const ids = await Promise.all(names.map((name) => uploadNamed(server.url, eve, room.id, name)));
      const last = dataOf(
        await rest.send(eve.token, room.id, { content: ATTACKS.join('\n'), attachment_ids: ids }),
      );
      await rest.pin(eve.token, last.id);
      await rest.send(eve.token, room.id, { content: ATTACKS.join(' '), thread_root: last.id });
      await rest.react(eve.token, last.id, '<img/src=1/onerror=trap()>');
      for (const name of ATTACKS.map((each) => each.slice(0, 100)))
        await rest.createRoom(eve.token, { name: name.padEnd(3), type: 'public', member_ids: [ann.id] });

      const page = await pageOf(server.url, ann);
      await arm(page);
      await page
        .getByRole('navigation')
        .getByRole('button', { name: attack.slice(0, 40) })
        .first()
        .click();
      await rowOf(page, ATTACKS.at(-1) ?? '')
        .first()
        .waitFor();
      for (const content of ATTACKS) expect(await rowOf(page, content).count(), content).toBeGreaterThan(0);
      for (const link of await timeline(page).locator('a').all()) {
        expect(await link.getAttribute('href')).toMatch(/^https?:\/\//);
        expect(await link.getAttribute('rel')).toBe('noopener noreferrer nofollow');
      }
      await page.getByRole('button', { name: 'Pins' }).click();
      await page.getByRole('complementary').getByText('<svg/onload').first().waitFor();
      await page.getByRole('complementary').getByRole('button', { name: '1 reply' }).click();
      await page.getByRole('complementary', { name: 'Thread' }).getByText('<details').nth(1).waitFor();
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('searchbox').fill('needle');
      await page.getByRole('complementary', { name: 'Search' }).locator('mark').first().waitFor();
      expect(new Set(await page.locator('mark').allTextContents())).toEqual(new Set(['needle']));
      await page.getByRole('button', { name: 'Room', exact: true }).click();
      await page.getByRole('complementary', { name: 'Room' }).getByText('<svg/onload').waitFor();
      await choose(page, ATTACKS[1] ?? '', 'Reply');
      await page
        .locator('.context')
        .getByText(ATTACKS[1] ?? '')
        .waitFor();
      await page.getByRole('button', { name: 'New room or message' }).click();
      await page.getByRole('menuitem', { name: 'Discover rooms' }).click();
      await page.getByRole('dialog').getByText('joined').first().waitFor();
      expect(await unexpected(page)).toEqual([]);
    });

    test('nor does the name of a device or a room become markup', async () => {
      await rest.call('POST', '/auth/login', {
        body: { email: ann.email, password: ann.password, device: ATTACKS[1]?.slice(0, 100) },
      });
      const page = await pageOf(server.url, ann);
      await arm(page);
      await page.getByRole('button', { name: /^Account of/ }).click();
      await page.getByRole('menuitem', { name: 'Devices' }).click();
      await page
        .getByRole('dialog')
        .getByText(ATTACKS[1] ?? '')
        .waitFor();
      await page.keyboard.press('Escape');
      await page
        .getByRole('navigation')
        .getByRole('button', { name: ATTACKS[2] ?? '', exact: true })
        .first()
        .click();
      await page.getByRole('main', { name: ATTACKS[2] ?? '' }).waitFor();
      expect(await unexpected(page)).toEqual([]);
    });
  },
);

async function uploadNamed(url: string, { token }: Account, roomId: string, name: string): Promise<string> {
  const bytes = new TextEncoder().encode('plain text');
  return dataOf(await upload(url, token, roomId, { name, type: 'text/plain', bytes })).id;
}

/** Lays the trap. */
async function arm(page: Page): Promise<void> {
  await page.evaluate(() => {
    Object.assign(window, { trapped: 0, trap: () => Object.assign(window, { trapped: 1 }) });
  });
}

/** What the page holds that it never makes itself, and whether the trap was called. */
async function unexpected(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const foreign = document.querySelectorAll(
      '#app :is(script, style, iframe, object, embed, svg, math, link, meta, base, details, table, template)',
    );
    const found = [...foreign].map((element) => element.outerHTML);
    for (const element of document.querySelectorAll('#app *')) {
      for (const { name, value } of element.attributes) {
        if (name.startsWith('on') || name === 'srcdoc') found.push(`${name} of ${element.outerHTML}`);
        if (['href', 'src'].includes(name) && !/^(https?:|blob:|\/)/.test(value)) found.push(value);
      }
    }
    if ((window as unknown as { trapped: number }).trapped !== 0) found.push('the trap was called');
    return found;
  });
}
