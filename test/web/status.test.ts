import axe from 'axe-core';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createClient } from '../../client/src/index.js';
import { until } from '../helpers/deadline.js';
import { hasRedis, startRedis } from '../helpers/redis.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { startS3 } from '../helpers/s3-server.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { hasBrowser, openPage } from './browser.js';

describe.skipIf(!hasBrowser)(
  'the status page (skipped where the machine has no Chromium)',
  { timeout: 120_000 },
  () => {
    test.each([1, 2])('shows figures that are not zero under traffic, %i processes', async (processes) => {
      const server = await startServerWithDatabase({ PROCESSES: String(processes) });
      const rest = restClient(server.url);
      const ann = await newAccount(rest, 'ann');
      const room = await newRoom(rest, ann);
      const client = createClient({ url: server.url, token: async () => ann.token, WebSocket });
      await client.connect();
      await client.room(room.id).join();
      let talking = true;
      const talk = (async () => {
        while (talking) await client.room(room.id).send('hello').sent;
      })();

      // axe-core writes into the page what the page's policy forbids; the second page is under the policy.
      const page = await openPage(`http://127.0.0.1:${server.metricsPort}/status`, {
        bypassCSP: processes === 1,
      });
      const figure = async (label: string): Promise<number> => {
        const card = page.locator('dl > div').filter({ hasText: label });
        return Number.parseFloat((await card.locator('dd').first().innerText()).replaceAll(',', ''));
      };
      for (const label of [
        'WebSockets open',
        'Rooms joined',
        'Messages committed',
        'Frames received',
        'Frames sent',
        'Acknowledgement, median',
        'Delivery, 99th',
        'Heap',
      ])
        await until(async () => (await figure(label)) > 0, `${label} above 0`);
      expect(await figure('WebSockets open')).toBe(1);
      expect(await page.getByRole('status').innerText()).toBe(
        processes === 1 ? 'Healthy: one process' : 'Healthy: 2 processes',
      );
      if (processes === 1) {
        await page.evaluate(axe.source);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          const found = await page.evaluate<{ violations: { id: string }[] }>('axe.run()');
          expect(found.violations.map(({ id }) => id)).toEqual([]);
        }
      }

      talking = false;
      await talk;
      client.close();
      await until(async () => (await figure('WebSockets open')) === 0, 'nobody connected');
      server.kill('SIGKILL');
      await page.getByText('No answer from the server').waitFor();
    });

    test.skipIf(!hasRedis)('says that the bus or the storage is down while /health is degraded', async () => {
      const [redis, s3] = [await startRedis(), await startS3()];
      const server = await startServerWithDatabase({ REDIS_URL: redis.url, ...s3.env });
      const page = await openPage(`http://127.0.0.1:${server.metricsPort}/status`);
      const says = (text: string) =>
        until(async () => (await page.getByRole('status').innerText()) === text, text, 40_000);
      const health = async () => (await fetch(`${server.url}/api/v1/health`)).status;
      await says('Healthy: one process');
      expect(await health()).toBe(200);
      await redis.kill();
      await says('Unhealthy: nothing passes between nodes, as the bus is down');
      expect(await health()).toBe(503);
      await redis.start();
      await says('Healthy: one process');
      await s3.stop();
      await says('Unhealthy: the storage does not answer');
      expect(await health()).toBe(503);
      await s3.start();
      await says('Healthy: one process');
      expect(await health()).toBe(200);
    });

    test('is one page under a strict policy', async () => {
      const server = await startServerWithDatabase();
      const answer = await fetch(`http://127.0.0.1:${server.metricsPort}/status`);
      expect(answer.headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self';/,
      );
      expect((await fetch(`${server.url}/status`)).status).toBe(404);
    });
  },
);
