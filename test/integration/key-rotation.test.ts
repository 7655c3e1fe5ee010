import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { upload } from '../helpers/attachments.js';
import { createTestDatabase } from '../helpers/database.js';
import { dataOf, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { JWT_SECRET, startServer } from '../helpers/server-process.js';
import { ConnectRefused, connect } from '../helpers/ws-client.js';

const FRESH = 'the secret that comes after the one of the tests';

const dataDir = mkdtempSync(join(tmpdir(), 'parley-rotation-'));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

test('a changed JWT_SECRET signs nobody out while the old one is in JWT_SECRET_PREVIOUS', {
  timeout: 60_000,
}, async () => {
  const database = await createTestDatabase();
  const restarted = (env: Readonly<Record<string, string>>) =>
    startServer({ env: { DATABASE_URL: database.url, DATA_DIR: dataDir, SHARDS: '1', ...env } });

  const first = await restarted({});
  const ann = await newAccount(restClient(first.url), 'ann');
  const { id: room } = await newRoom(restClient(first.url), ann);
  const file = { bytes: Buffer.from('a text'), name: 'a.txt', type: 'text/plain' };
  const { pathname: link } = new URL(dataOf(await upload(first.url, ann.token, room, file)).storage_url);
  await first.stop();

  const both = await restarted({
    JWT_SECRET: FRESH,
    JWT_SECRET_PREVIOUS: `another-secret-that-was-never-used,${JWT_SECRET}`,
  });
  expect((await restClient(both.url).sessions(ann.token)).status).toBe(200);
  expect((await fetch(new URL(link, both.url))).status).toBe(200);
  await (await connect({ wsUrl: both.wsUrl, token: ann.token })).close();
  const { token: renewed } = dataOf(await restClient(both.url).refresh(ann.refreshToken));
  await both.stop();

  const fresh = await restarted({ JWT_SECRET: FRESH });
  expect((await restClient(fresh.url).sessions(renewed)).status).toBe(200);
  expect((await restClient(fresh.url).sessions(ann.token)).status).toBe(401);
  expect((await fetch(new URL(link, fresh.url))).status).toBe(403);
  await expect(connect({ wsUrl: fresh.wsUrl, token: ann.token })).rejects.toBeInstanceOf(ConnectRefused);
  await fresh.stop();
  await database.drop();
});
