import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { grantSigner } from '../../src/attachments/local-links.js';
import { localStorage } from '../../src/attachments/local-storage.js';
import { ObjectMissing } from '../../src/attachments/storage-port.js';
import { type Account, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { JWT_SECRET, type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { storageContract, whole } from './storage-contract.js';

/** Its links are answered by the server over the same directory, which takes what it expects. */
let server: Server & { readonly database: { readonly url: string } };
let sql: postgres.Sql;
let owner: Account;
let room: string;
const dataDir = join(inject('runDirectory'), freshName('local-storage'));
const root = join(dataDir, 'attachments');

beforeAll(async () => {
  await mkdir(dataDir);
  server = await startServerWithDatabase({ DATA_DIR: dataDir });
  sql = postgres(server.database.url, { max: 1 });
  const rest = restClient(server.url);
  owner = await newAccount(rest);
  room = (await newRoom(rest, owner)).id;
});
afterAll(() => sql.end());

test('parts that come after they were joined change nothing', async () => {
  const storage = localStorage(join(dataDir, 'joined'), grantSigner(JWT_SECRET), null);
  const key = `ab/${randomUUID()}`;
  const { upload_id } = await storage.presignParts(key, 6, 'image/png', 60_000);
  const bring = async (...parts: string[]) => {
    for (const [i, text] of parts.entries()) await storage.putPart(key, upload_id, i + 1, of(text));
  };
  await bring('abc', 'def');
  await storage.completeParts(key, upload_id, 6);
  await bring('xxx', 'yyy');
  await storage.completeParts(key, upload_id, 6);
  expect((await whole(await storage.get(key))).toString()).toBe('abcdef');
  const keys: string[] = [];
  for await (const each of storage.list()) keys.push(each.key);
  expect(keys).toEqual([key]);
});

test('what is deleted once it was found is still read whole', async () => {
  const storage = localStorage(join(dataDir, 'deleted'), grantSigner(JWT_SECRET), null);
  const key = `ab/${randomUUID()}`;
  await storage.put(key, of('abcdef'), '');
  const bytes = await storage.get(key);
  await storage.remove(key);
  expect((await whole(bytes)).toString()).toBe('abcdef');
  await expect(storage.get(key)).rejects.toThrow(ObjectMissing);
});

async function* of(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

async function expectUpload(storage_key: string): Promise<void> {
  await sql`
    insert into attachments (id, room_id, user_id, storage_key, direct_until, file_name, file_type, file_size, due_at)
    values (${randomUUID()}, ${room}, ${owner.id}, ${storage_key}, now() + interval '1 hour', 'a', 'image/png', 1,
      now() + interval '1 hour')`;
}

storageContract(
  'local disk',
  async () => {
    await rm(root, { recursive: true, force: true });
    const storage = localStorage(root, grantSigner(JWT_SECRET), null);
    return {
      storage: {
        ...storage,
        async presignPut(key, ...rest) {
          await expectUpload(key);
          return storage.presignPut(key, ...rest);
        },
        async presignParts(key, ...rest) {
          await expectUpload(key);
          return storage.presignParts(key, ...rest);
        },
      },
      base: server.url,
      left: async () => {
        const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
        return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
      },
      breakDown: async () => {
        await rm(root, { recursive: true });
        await writeFile(root, 'a file in place of the directory');
      },
      close: () => rm(root, { recursive: true, force: true }),
    };
  },
  { checksSignatures: true },
);
