import axe from 'axe-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../helpers/deadline.js';
import { newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { enter } from '../helpers/signals.js';
import { hasBrowser, openPage } from './browser.js';

describe.skipIf(!hasBrowser)(
  'the status page (skipped where the machine has no Chromium)',
  { timeout: 60_000 },
  () => {
    let server: Server;
    let rest: Rest;

    beforeAll(async () => {
      server = await startServerWithDatabase({ SHARDS: '2' });
      rest = restClient(server.url);
    });

    test('shows sockets, rates and latencies as they change, and is accessible', async () => {
      const ann = await newAccount(rest, 'ann');
      const { id: room } = await newRoom(rest, ann, []);
      const ear = await enter(server.wsUrl, ann, room);
      // axe-core writes into the page what the page's policy forbids.
      const page = await openPage(`http://127.0.0.1:${server.metricsPort}/status`, { bypassCSP: true });
      const shown = async (name: string) => {
        const card = page.locator('dl > div').filter({ has: page.getByText(name, { exact: true }) });
        return (await card.locator('dd').textContent()) ?? '';
      };
      for (const name of ['PostgreSQL', 'Attachments']) expect(await shown(name)).toMatch(/^answers?$/);
      expect(await shown('Shards up')).toBe('2 of 2');
      await until(async () => Number(await shown('Sockets')) === 1, 'the socket');
      let isSending = true;
      const sending = (async () => {
        while (isSending) await ear.ask('send_message', { content: 'x' }, room);
      })();
      await until(async () => Number.parseFloat(await shown('Changes committed')) > 0, 'a rate', 20_000);
      await until(async () => /^\d+(\.\d)? \/ \d+/.test(await shown('Acknowledgement')), 'latencies', 20_000);
      await page.getByRole('img', { name: /^Changes committed: \d+ samples/ }).waitFor();
      isSending = false;
      await sending;
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() =>
        (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
          rules: { 'meta-refresh': { enabled: false } }, // it refreshes what is shown, and takes nobody's input
        }),
      );
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual(
        [],
      );
      await ear.close();
    });
  },
);
