import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, describe, expect, inject, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { picture, upload } from '../helpers/attachments.js';
import { must } from '../helpers/deadline.js';
import { dataOf, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type S3Server, startS3 } from '../helpers/s3-server.js';
import { JWT_SECRET, startServerWithDatabase } from '../helpers/server-process.js';

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
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
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

/** Runs the command to its end. @returns the keys it names */
async function sweep(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<string[]> {
  const { PATH = '' } = process.env;
  const output = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      ['dist/scripts/orphaned-files.js', ...args],
      { env: { PATH, NODE_ENV: 'test', JWT_SECRET, ...env } },
      (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stderr))),
    );
  });
  return output.split('\n').filter((line) => line !== '');
}

describe.each([
  ['on disk', disk],
  ['in S3', bucket],
])('files without rows %s', { timeout: 60_000 }, (_where, open) => {
  test('are found and removed, all of them and nothing else, and only once they are old', async () => {
    const storage = await open();
    const server = await startServerWithDatabase({ ...storage.env, UPLOADS_PER_MINUTE: '0' });
    const env = { ...storage.env, DATABASE_URL: server.database.url };
    const sql = postgres(server.database.url, { max: 1 });
    const rest = restClient(server.url);
    const owner = await newAccount(rest);
    const room = (await newRoom(rest, owner)).id;
    const bytes = await picture(30, 30);
    const uploaded = async () => dataOf(await upload(server.url, owner.token, room, { bytes })).id;
    /** One that came in parts, of which one has come. */
    const begun = async () => {
      const file = { file_name: 'a', file_type: 'image/png', file_size: 40 * MiB };
      const { attachment, upload: direct } = dataOf(
        await rest.post<{ attachment: Attachment; upload: { parts: { url: string; size: number }[] } }>(
          `/rooms/${room}/attachments/presign`,
          owner.token,
          file,
        ),
      );
      const { url, size } = must(direct.parts[0]);
      const put = await fetch(new URL(url, server.url), { method: 'PUT', body: randomBytes(size) });
      expect(put.status).toBe(200);
      return attachment.id;
    };
    const attached = [await uploaded(), await uploaded()];
    const message = dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: attached }));
    await uploaded(); // ready, and not an orphan
    const kept = (await storage.left()).sort();
    const lost = [await uploaded(), await uploaded(), await begun()];
    expect((await storage.left()).length).toBeGreaterThan(kept.length + 4);
    expect(await sweep(env, '--older-than', '0')).toEqual([]);

    // As a database that was restored to an earlier state: it knows nothing of these.
    const forgotten = await sql<{ storage_key: string }[]>`
      delete from attachments where id = any (${lost}::uuid[]) returning storage_key`;
    const orphans = forgotten.map(({ storage_key }) => storage_key).sort();
    expect(await sweep(env, '--remove')).toEqual([]); // not old enough
    expect((await sweep(env, '--older-than', '0')).sort()).toEqual(orphans);
    expect((await storage.left()).length).toBeGreaterThan(kept.length + 4);
    expect((await sweep(env, '--older-than', '0', '--remove')).sort()).toEqual(orphans);
    expect((await storage.left()).sort()).toEqual(kept);
    expect(await sweep(env, '--older-than', '0')).toEqual([]);
    const shown = dataOf(await rest.message(owner.token, message.id));
    for (const { storage_url, thumbnail_url } of shown.attachments) {
      for (const link of [storage_url, must(thumbnail_url)]) {
        expect((await fetch(new URL(link, server.url))).status).toBe(200);
      }
    }
    await sql.end();
    await server.stop();
  });
});
