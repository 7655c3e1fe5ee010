import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { hasBrowser, openPage } from './browser.js';
import { staticSite } from './static-site.js';

const LINES_MAX = 30; // as the docs promise

test('examples/page.html is a page of thirty lines', () => {
  expect(readFileSync('examples/page.html', 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(
    LINES_MAX,
  );
});

describe.skipIf(!hasBrowser)(
  'examples/page.html (skipped where the machine has no Chromium)',
  { timeout: 60_000 },
  () => {
    test('two windows talk in one room, and a third reads all of it', async () => {
      const site = await staticSite();
      const { url } = await startServerWithDatabase({ ALLOWED_ORIGINS: site });
      const open = () => openPage(`${site}/examples/page.html?url=${url}`);
      const one = await open();
      await one.waitForFunction('document.querySelector("form").onsubmit !== null');
      const two = await open();
      for (const [page, text] of [
        [one, 'Anybody here?'],
        [two, 'Yes'],
      ] as const) {
        await page.waitForFunction('document.querySelector("form").onsubmit !== null');
        await page.getByLabel('Message').fill(text);
        await page.getByRole('button', { name: 'Send' }).click();
        await page.getByText(text).waitFor();
      }
      const three = await open();
      for (const page of [one, two, three]) {
        await page.getByText('Yes').waitFor();
        const said = await page.getByRole('listitem').allTextContents();
        expect(said.map((row) => row.replace(/^guest-[0-9a-f]{8}: /, ''))).toEqual(['Anybody here?', 'Yes']);
      }
    });
  },
);
