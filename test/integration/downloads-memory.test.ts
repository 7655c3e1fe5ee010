import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, expect, inject, test } from 'vitest';
import { grantSigner } from '../../src/attachments/local-links.js';
import { localStorage } from '../../src/attachments/local-storage.js';
import type { FromTransfer } from '../../src/ipc/messages.js';
import type { AttachmentService } from '../../src/rooms/attachment-service.js';
import { createDownloads } from '../../src/transfer/downloads.js';
import { upload } from '../helpers/attachments.js';
import { until } from '../helpers/deadline.js';
import { type Account, dataOf, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

const MiB = 1_024 * 1_024;
const WINDOW_BYTES = MiB / 4;

async function* stream(bytes: Uint8Array) {
  yield bytes;
}

test('a download reads into one ring, no piece of which is written anew before it went to the socket; the next takes it', async () => {
  const signer = grantSigner('a-secret-of-the-tests-of-downloads');
  const storage = localStorage(join(inject('runDirectory'), freshName('downloads')), signer, null);
  const file = randomBytes(3 * MiB + 12_345);
  await storage.put('aa/file', stream(file), '');
  const token = signer.sign({
    ...{ op: 'get', key: 'aa/file', until: Date.now() / 1_000 + 60, type: 'x', disposition: 'inline' },
  });
  const posted: Extract<FromTransfer, { t: 'bytes' }>[] = [];
  const downloads = createDownloads({
    local: { storage, grants: signer },
    linkTo: () => '',
    attachments: {} as AttachmentService, // links alone ask it for nothing
    post: (message) => message.t === 'bytes' && posted.push(message),
  });
  const memory = new Set<ArrayBufferLike>();
  for (const id of [1, 2]) {
    const done = downloads.download({
      t: 'download',
      id,
      of: { token },
      range: '',
      ifRange: '',
      head: false,
      ifNoneMatch: '',
    });
    const got: Uint8Array[] = [];
    let first = true;
    for (let left = file.length; left > 0; ) {
      // A client is slow: all that may be in flight is, before the oldest piece of it has gone.
      if (first) downloads.pull({ t: 'pull', id, bytes: WINDOW_BYTES });
      first = false;
      await until(
        () => posted.reduce((sum, { bytes }) => sum + bytes.length, 0) >= Math.min(left, WINDOW_BYTES),
        'a window',
      );
      const { bytes } = posted.shift() ?? { bytes: new Uint8Array() };
      memory.add(bytes.buffer);
      got.push(bytes.slice());
      left -= bytes.length;
      if (left > 0) downloads.pull({ t: 'pull', id, bytes: bytes.length });
    }
    await done;
    downloads.cancel(id);
    expect(Buffer.compare(Buffer.concat(got), file)).toBe(0);
  }
  expect([...memory].map(({ byteLength }) => byteLength)).toEqual([WINDOW_BYTES]);
});

let server: Server;
let owner: Account;
let room: string;

beforeAll(async () => {
  server = await startServerWithDatabase({ UPLOADS_PER_MINUTE: '0' });
  owner = await newAccount(restClient(server.url));
  room = (await newRoom(restClient(server.url), owner)).id;
});

/** Downloads by a link, and leaves after `most` bytes. @returns the SHA-256 of all of it; null: it left */
function fetched(link: string, most = Number.POSITIVE_INFINITY): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(link, server.url), (incoming) => {
      const hash = createHash('sha256');
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        size += chunk.length;
        if (size > most) {
          outgoing.destroy();
          resolve(null);
        }
      });
      incoming.on('end', () => resolve(hash.digest('hex')));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

test('of many downloads at once, some of whose clients leave, each is the file that was asked for', async () => {
  const files = await Promise.all(
    [3, 5, 7].map(async (mib) => {
      const bytes = randomBytes(mib * MiB + 1);
      const file = { bytes, type: 'application/octet-stream' };
      const { storage_url } = dataOf(await upload(server.url, owner.token, room, file));
      return { link: storage_url, hash: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
  for (let round = 0; round < 3; round++) {
    const leavers = files.map(({ link }) => fetched(link, MiB));
    const stayers = [...files, ...files].map(async ({ link, hash }) => [await fetched(link), hash]);
    for (const [got, wanted] of await Promise.all(stayers)) expect(got).toBe(wanted);
    for (const left of leavers) expect(await left).toBeNull();
  }
});
