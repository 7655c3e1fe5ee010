import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { picture, slowUpload, upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

/** Limits of attachments, files made to do harm, and who may see what, on the server's own disk. */

const MiB = 1_024 * 1_024;
const MAX_UPLOAD_BYTES = 40 * MiB;
const LINK_LIFE_S = 3;
const NOT_FOUND = { status: 404, code: 'not_found' };
const TOO_LARGE = { status: 413, code: 'payload_too_large' };

const dataDir = join(inject('runDirectory'), freshName('limits'));
let server: Server & { readonly database: { readonly url: string } };
let rest: Rest;
let sql: postgres.Sql;
let owner: Account;
let member: Account;
let room: string;

beforeAll(async () => {
  server = await startServerWithDatabase({
    DATA_DIR: dataDir,
    MAX_UPLOAD_BYTES: String(MAX_UPLOAD_BYTES),
    UPLOADS_PER_MINUTE: '0',
    ATTACHMENT_URL_LIFE: `${LINK_LIFE_S}s`,
  });
  rest = restClient(server.url);
  sql = postgres(server.database.url, { max: 1 });
  [owner, member] = await Promise.all([newAccount(rest), newAccount(rest)]);
  room = (await newRoom(rest, owner, [member])).id;
});
afterAll(() => sql.end());

const binary = (bytes: Uint8Array) =>
  upload(server.url, owner.token, room, { bytes, type: 'application/octet-stream', name: 'a.bin' });
const rows = async () => (await sql`select from attachments`).length;

async function files(): Promise<string[]> {
  const root = join(dataDir, 'attachments');
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

async function empty(): Promise<void> {
  await sql`update attachments set state = 'deleting', due_at = now(), message_id = null, direct_until = null`;
  await until(async () => (await rows()) === 0 && (await files()).length === 0, 'nothing left');
}

async function residentMb(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_000;
}

describe('the largest size', () => {
  test('is that of the file, to the byte, whatever the form says about itself', async () => {
    await empty();
    expect(refusalOf(await binary(randomBytes(MAX_UPLOAD_BYTES + 1)))).toEqual(TOO_LARGE);
    await until(async () => (await rows()) === 0 && (await files()).length === 0, 'nothing left');
    expect(dataOf(await binary(randomBytes(MAX_UPLOAD_BYTES))).file_size).toBe(MAX_UPLOAD_BYTES);
  });

  test('holds while a body of unknown length is read, and nothing of it is left', async () => {
    await empty();
    const sending = slowUpload(server.url, owner.token, room, null);
    const pushing = (async () => {
      for (let i = 0; i < 45; i++) await sending.write(randomBytes(MiB));
    })().catch(() => undefined);
    const answer = await sending.answer;
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([413, 'payload_too_large']);
    sending.abort();
    await pushing;
    await until(async () => (await rows()) === 0 && (await files()).length === 0, 'nothing left');
  });

  test('holds for what a client wants to bring to storage itself', async () => {
    const presign = (file_size: number) =>
      rest.post(`/rooms/${room}/attachments/presign`, owner.token, {
        file_name: 'a.bin',
        file_type: 'application/octet-stream',
        file_size,
      });
    expect(refusalOf(await presign(MAX_UPLOAD_BYTES + 1))).toEqual(TOO_LARGE);
    expect((await presign(MAX_UPLOAD_BYTES)).status).toBe(201);
  });
});

test('of one user eight uploads go on at once; another user has places', { timeout: 30_000 }, async () => {
  await empty();
  const sending = Array.from({ length: 8 }, () => slowUpload(server.url, owner.token, room, 2 * MiB));
  for (const each of sending) await each.write(randomBytes(MiB));
  await until(async () => (await rows()) === 8, 'eight under way');
  const bytes = await picture(20, 20);
  expect((await upload(server.url, owner.token, room, { bytes })).body).toMatchObject({ code: 'overloaded' });
  expect((await upload(server.url, member.token, room, { bytes })).status).toBe(201);
  for (const each of sending) {
    await each.write(randomBytes(MiB));
    each.end();
  }
  for (const each of sending) expect((await each.answer).status).toBe(201);
  expect((await upload(server.url, owner.token, room, { bytes })).status).toBe(201);
});

test('a direct upload of which a part is missing is refused when it is completed, and can be completed later', {
  timeout: 30_000,
}, async () => {
  await empty();
  const { attachment, upload: direct } = dataOf(
    await rest.post<{ attachment: Attachment; upload: { parts: { url: string; size: number }[] } }>(
      `/rooms/${room}/attachments/presign`,
      owner.token,
      { file_name: 'a.bin', file_type: 'application/octet-stream', file_size: 33 * MiB },
    ),
  );
  expect(direct.parts.map(({ size }) => size)).toEqual([16 * MiB, 16 * MiB, MiB]);
  const complete = () => rest.post<Attachment>(`/attachments/${attachment.id}/complete`, owner.token);
  for (const { url, size } of direct.parts) {
    expect(refusalOf(await complete())).toEqual({ status: 400, code: 'bad_request' });
    const put = await fetch(url, { method: 'PUT', body: new Uint8Array(randomBytes(size)) });
    expect(put.status).toBe(200);
  }
  expect(dataOf(await complete())).toMatchObject({ id: attachment.id, file_size: 33 * MiB });
  expect((await files()).length).toBe(1);
});

test('a file that is brought again while it is completed stays as it was checked', async () => {
  await empty();
  const bytes = await picture(20, 20);
  const { attachment, upload: direct } = dataOf(
    await rest.post<{ attachment: Attachment; upload: { url: string } }>(
      `/rooms/${room}/attachments/presign`,
      owner.token,
      { file_name: 'a.png', file_type: 'image/png', file_size: bytes.length },
    ),
  );
  const evil = request(direct.url, { method: 'PUT', headers: { 'content-length': bytes.length } });
  const refused = once(evil, 'response');
  evil.write(Buffer.alloc(bytes.length - 1, '<'));
  await until(async () => (await files()).length === 1, 'the draft of what comes slowly');
  expect((await fetch(direct.url, { method: 'PUT', body: new Uint8Array(bytes) })).status).toBe(200);
  const ready = dataOf(await rest.post<Attachment>(`/attachments/${attachment.id}/complete`, owner.token));
  evil.end('<');
  const [answer] = (await refused) as [IncomingMessage];
  expect(answer.statusCode).toBe(409);
  const stored = await (await fetch(ready.storage_url)).arrayBuffer();
  expect(Buffer.compare(Buffer.from(stored), bytes)).toBe(0);
  expect((await files()).sort()).toEqual([
    expect.stringMatching(/^[0-9a-f-]{36}$/),
    expect.stringMatching(/thumb$/),
  ]);
});

describe('bombs', () => {
  const declared = (width: number, height: number): Buffer => {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
    const chunk = (type: string, data: Uint8Array): Buffer => {
      const body = Buffer.concat([Buffer.from(type), data]);
      const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
      length.writeUInt32BE(data.length);
      sum.writeUInt32BE(crc32(body));
      return Buffer.concat([length, body, sum]);
    };
    const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
    const data = deflateSync(Buffer.alloc(4 * MiB));
    return Buffer.concat([
      signature,
      chunk('IHDR', header),
      chunk('IDAT', data),
      chunk('IEND', Buffer.alloc(0)),
    ]);
  };
  const gif = Buffer.concat([
    Buffer.from('GIF89a'),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]),
    Buffer.from([0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 2, 0x4c, 1, 0, 0x3b]),
  ]);
  /** One entry, as a document of Office begins: readers of types look into it. */
  const zip = (unpacked: number): Buffer => {
    const name = Buffer.from('[Content_Types].xml');
    const data = deflateRawSync(Buffer.alloc(unpacked, ' '));
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(20, 4);
    header.writeUInt16LE(8, 8); // deflated
    header.writeUInt32LE(data.length, 18);
    header.writeUInt32LE(unpacked, 22);
    header.writeUInt16LE(name.length, 26);
    return Buffer.concat([header, name, data]);
  };

  test.each([
    ['a PNG that says it is 60,000 pixels wide and high', 'image/png', () => declared(60_000, 60_000)],
    ['a PNG of 2,147,483,647 columns', 'image/png', () => declared(2 ** 31 - 1, 1)],
    ['a GIF of 65,535 by 65,535', 'image/gif', () => gif],
    ['a zip that unpacks to 400 MB', 'application/zip', () => zip(400_000_000)],
    ['a zip whose whole entry is in the first bytes', 'application/zip', () => zip(3_500_000)],
    ['a gzip of 400 MB', 'application/gzip', () => gzipSync(Buffer.alloc(400_000_000))],
  ])(
    '%s is a file as any other: kept, not unpacked, without thumbnail',
    { timeout: 30_000 },
    async (_what, type, make) => {
      const bytes = make();
      const before = await residentMb();
      const attachment = dataOf(await upload(server.url, owner.token, room, { bytes, type }));
      expect(attachment).toMatchObject({
        file_size: bytes.length,
        thumbnail_url: null,
        width: null,
        height: null,
      });
      const stored = Buffer.from(
        await (await fetch(new URL(attachment.storage_url, server.url))).arrayBuffer(),
      );
      expect(Buffer.compare(stored, bytes)).toBe(0);
      expect((await residentMb()) - before).toBeLessThan(200);
      expect((await rest.send(owner.token, room, { content: 'goes on' })).status).toBe(201);
    },
  );
});

test.each([
  [
    'a picture that is also a page',
    Buffer.from('GIF89a/*<html><script>alert(1)</script>*/'),
    'image/gif',
    'inline',
  ],
  ['a PDF', Buffer.from('%PDF-1.7\n'.padEnd(500, 'x')), 'application/pdf', 'attachment'],
  ['a page called text', Buffer.from('<html><script>alert(1)</script>'), 'text/plain', 'attachment'],
])('%s is never served as a page, by no way', async (_what, bytes, type, disposition) => {
  const sent = await upload(server.url, owner.token, room, { bytes, type, name: 'evil.html' });
  const attachment = dataOf(sent);
  const authorization = `Bearer ${owner.token}`;
  const answers = [
    await fetch(new URL(attachment.storage_url, server.url)),
    await fetch(`${server.url}/api/v1/attachments/${attachment.id}/content`, { headers: { authorization } }),
  ];
  for (const { status, headers } of answers) {
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe(type === 'text/plain' ? 'application/octet-stream' : type);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'$/);
    expect(headers.get('content-disposition')).toMatch(new RegExp(`^${disposition};`));
  }
});

test('who is no member, or no more, sees nothing of what is attached; links end by themselves', async () => {
  const [leaver, stranger] = await Promise.all([newAccount(rest), newAccount(rest)]);
  const hidden = dataOf(await rest.createRoom(owner.token, { name: freshName('room'), type: 'private' })).id;
  dataOf(await rest.addMember(owner.token, hidden, leaver.id));
  const { id } = dataOf(await upload(server.url, owner.token, hidden, { bytes: await picture(20, 20) }));
  dataOf(await rest.send(owner.token, hidden, { content: '', attachment_ids: [id] }));
  const paths = [`/attachments/${id}`, `/attachments/${id}/content`];
  const link = dataOf(await rest.get<Attachment>(must(paths[0]), leaver.token)).storage_url;
  expect((await fetch(new URL(link, server.url))).status).toBe(200);
  expect((await rest.delete(`/rooms/${hidden}/members/${leaver.id}`, owner.token)).status).toBe(200);
  for (const { token } of [leaver, stranger]) {
    for (const path of paths) expect(refusalOf(await rest.get(path, token))).toEqual(NOT_FOUND);
  }
  await until(async () => (await fetch(new URL(link, server.url))).status === 403, 'the end of the link');
  const fresh = dataOf(await rest.get<Attachment>(must(paths[0]), owner.token)).storage_url;
  expect((await fetch(new URL(fresh, server.url))).status).toBe(200);
});

test('what no message takes is due after 24 hours, what one takes never', async () => {
  const [left, taken] = [
    await upload(server.url, owner.token, room, { bytes: await picture(20, 20) }),
    await binary(randomBytes(10)),
  ];
  dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: [dataOf(taken).id] }));
  const life = async (id: string) =>
    (
      await sql<{ hours: number | null }[]>`
      select extract(epoch from due_at - created_at)::float8 / 3600 as hours from attachments where id = ${id}`
    )[0]?.hours;
  expect(await life(dataOf(left).id)).toBeCloseTo(24, 3);
  expect(await life(dataOf(taken).id)).toBeNull();
});

/** As PNG counts it; zlib has it from Node 20.15 on only. */
function crc32(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
