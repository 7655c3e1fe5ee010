import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { must } from '../helpers/deadline.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { hasBrowser, openPage } from './browser.js';
import { staticSite } from './static-site.js';

const CLIENT = 'dist/client/src';
const tutorial = readFileSync('docs/tutorial.md', 'utf8');
const blocksOf = (language: string) =>
  [...tutorial.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, code = '']) => code,
  );

/** The reader's directory after each piece of the script, as `/N.html`, with the package where npm puts it. */
function pages(): Record<string, string> {
  const html = must(blocksOf('html')[0], 'the page');
  const steps = blocksOf('js').flatMap((_, n, all): [string, string][] => [
    [`/${n + 1}.html`, html.replace('chat.js', `${n + 1}.js`)],
    [`/${n + 1}.js`, all.slice(0, n + 1).join('')],
  ]);
  const modules = readdirSync(CLIENT).filter((file) => file.endsWith('.js'));
  const installed = modules.map((file): [string, string] => [
    `/node_modules/@parley/client/src/${file}`,
    readFileSync(join(CLIENT, file), 'utf8'),
  ]);
  return Object.fromEntries([...steps, ...installed]);
}

const logIn = async (page: Page, name: string, password = 'correct horse'): Promise<void> => {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
};
const say = async (page: Page, text: string): Promise<void> => {
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
};
const rows = (page: Page) => page.getByRole('listitem').allTextContents();

describe.skipIf(!hasBrowser)(
  'the chat of docs/tutorial.md (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
  () => {
    test('runs after each step, and at the end two people talk, are seen typing, and read back', async () => {
      const site = await staticSite(pages());
      const { url } = await startServerWithDatabase({
        ALLOWED_ORIGINS: site,
        AUTH_RATE_LIMIT_PER_MINUTE: '0',
      });
      const open = (step: number) => openPage(`${site}/${step}.html?server=${url}`);
      const steps = blocksOf('js').length;
      for (let step = 1; step < steps; step++) {
        const page = await open(step);
        await logIn(page, 'ann'); // registered at the first step
        await page.locator('#login').waitFor({ state: 'hidden' });
        if (step >= 3) await page.getByRole('main').waitFor(); // a step that fails is told of by openPage
        await page.close();
      }

      const [ann, ben] = [await open(steps), await open(steps)];
      await logIn(ann, 'ann', 'wrong horse');
      await ann.getByRole('status').filter({ hasText: /\w/ }).waitFor();
      await logIn(ann, 'ann');
      await logIn(ben, 'ben');
      for (let n = 1; n <= 30; n++) await say(ann, `line ${n}`);
      await ben.getByText('ann: line 30').waitFor();
      await ben.getByLabel('Message').pressSequentially('Hel');
      await ann.getByText('ben is typing').waitFor();
      await say(ben, '<b>Hello</b>');
      await ann.getByText('ben: <b>Hello</b>').waitFor();
      const all = [...Array.from({ length: 30 }, (_, n) => `ann: line ${n + 1}`), 'ben: <b>Hello</b>'];
      expect(await rows(ann)).toEqual(all);

      await ben.reload(); // still logged in
      await ben.getByText('ben: <b>Hello</b>').waitFor();
      expect(await rows(ben)).toEqual(all.slice(-20));
      await ben.getByRole('button', { name: 'Older messages' }).click();
      await ben.getByText('ann: line 1', { exact: true }).waitFor();
      expect(await rows(ben)).toEqual(all);
    });
  },
);
