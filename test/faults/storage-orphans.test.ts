import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, describe, expect, inject, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { picture, slowUpload, upload } from '../helpers/attachments.js';
import { createTestDatabase } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';
import { dataOf, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type S3Server, startS3 } from '../helpers/s3-server.js';
import { startServer } from '../helpers/server-process.js';

/** Whatever a killed server leaves is removed by the next one, and nothing else is. */

const MiB = 1_024 * 1_024;

interface Storage {
  readonly env: Readonly<Record<string, string>>;
  readonly left: () => Promise<string[]>;
}

async function disk(): Promise<Storage> {
  const dataDir = join(inject('runDirectory'), freshName('orphans'));
  return {
    env: { DATA_DIR: dataDir },
    async left() {
      const root = join(dataDir, 'attachments');
      const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    },
  };
}

let s3: S3Server;
async function bucket(): Promise<Storage> {
  s3 = await startS3();
  return s3;
}
afterAll(() => s3?.stop());

/** The third: removals that take longer than a kill, each some milliseconds on disk and a hundred in S3 beside other tests. */
describe.each([
  ['on disk', disk, 600],
  ['in S3', bucket, 60],
] as const)('%s', { timeout: 120_000 }, (_where, open, toRemove) => {
  test('a server killed while files come in every way leaves only what the next one removes, and that keeps what is attached', async () => {
    const storage = await open();
    const database = (await createTestDatabase()).url;
    const sql = postgres(database, { max: 1 });
    const start = () =>
      startServer({ env: { DATABASE_URL: database, UPLOADS_PER_MINUTE: '0', SHARDS: '1', ...storage.env } });
    const server = await start();
    const rest = restClient(server.url);
    const owner = await newAccount(rest);
    const room = (await newRoom(rest, owner)).id;
    const bytes = await picture(30, 30);
    const uploaded = async () => dataOf(await upload(server.url, owner.token, room, { bytes })).id;
    const presigned = async (file_size: number) =>
      dataOf(
        await rest.post<{ upload: { url?: string; parts?: { url: string; size: number }[] } }>(
          `/rooms/${room}/attachments/presign`,
          owner.token,
          { file_name: 'a', file_type: 'image/png', file_size },
        ),
      ).upload;
    const bring = async (link: string, body: Uint8Array<ArrayBuffer>) =>
      expect((await fetch(new URL(link, server.url), { method: 'PUT', body })).status).toBe(200);

    const attached = [await uploaded(), await uploaded(), await uploaded()];
    const message = dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: attached }));
    await uploaded(); // never attached
    await bring(must((await presigned(1_000)).url), new Uint8Array(randomBytes(1_000))); // never completed
    const part = must((await presigned(40 * MiB)).parts?.[0]);
    await bring(part.url, new Uint8Array(randomBytes(part.size)));
    await presigned(1_000); // never brought
    const before = (await storage.left()).length;
    const sending = slowUpload(server.url, owner.token, room, 30 * MiB);
    await sending.write(randomBytes(12 * MiB));
    await until(async () => (await storage.left()).length > before, 'something of the upload in storage');
    server.kill('SIGKILL');
    await server.exit;
    sending.abort();
    expect(await sql`select from attachments`).toHaveLength(attached.length + 5);

    // Not a day later, the next server removes nothing.
    const next = await start();
    const all = (await storage.left()).length;
    expect(all).toBeGreaterThan(2 * attached.length + 3);
    // A day later, all that is no part of a message.
    await sql`
      update attachments set due_at = due_at - interval '1 day 1 second', direct_until = direct_until - interval '1 day'
      where due_at is not null`;
    await until(
      async () => (await sql`select from attachments`).length === attached.length,
      'no other row',
      30_000,
    );
    await until(
      async () => (await storage.left()).length === 2 * attached.length,
      'files and thumbnails in use',
    );
    const shown = dataOf(await restClient(next.url).message(owner.token, message.id));
    for (const each of shown.attachments) await expectServed(next.url, each, bytes);
    await next.stop();
    await sql.end();
  });

  test('a server killed while it removes leaves the rest to the next one', async () => {
    const storage = await open();
    const database = (await createTestDatabase()).url;
    const sql = postgres(database, { max: 1 });
    const start = () =>
      startServer({ env: { DATABASE_URL: database, UPLOADS_PER_MINUTE: '0', SHARDS: '1', ...storage.env } });
    const server = await start();
    const rest = restClient(server.url);
    const owner = await newAccount(rest);
    const room = (await newRoom(rest, owner)).id;
    const bytes = await picture(30, 30);
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push(dataOf(await upload(server.url, owner.token, room, { bytes })).id);
    const kept = ids.slice(0, 5);
    const message = dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: kept }));
    await sql`update attachments set due_at = now() where state = 'ready'`;
    // Rows without files, so that there is more to do than can be done before the kill.
    await sql`
      insert into attachments (id, room_id, user_id, state, storage_key, file_name, file_type, file_size, due_at)
      select gen_random_uuid(), ${room}, ${owner.id}, 'deleting', 'ab/' || gen_random_uuid(), 'a', 'image/png', 1,
        now() + interval '1 second'
      from generate_series(1, ${toRemove}::int)`;
    await until(async () => (await storage.left()).length < 2 * ids.length - 4, 'some gone');
    server.kill('SIGKILL');
    await server.exit;
    expect((await sql`select from attachments`).length).toBeGreaterThan(kept.length);
    await sql`update attachments set due_at = now() where state = 'deleting'`; // the lease is over
    const next = await start();
    await until(
      async () => (await sql`select from attachments`).length === kept.length,
      'the rest gone',
      30_000,
    );
    expect(await storage.left()).toHaveLength(2 * kept.length);
    const shown = dataOf(await restClient(next.url).message(owner.token, message.id));
    for (const each of shown.attachments) await expectServed(next.url, each, bytes);
    await next.stop();
    await sql.end();
  });
});

async function expectServed(url: string, attachment: Attachment, bytes: Buffer): Promise<void> {
  const answer = await fetch(new URL(attachment.storage_url, url));
  expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
  expect((await fetch(new URL(must(attachment.thumbnail_url), url))).status).toBe(200);
}
