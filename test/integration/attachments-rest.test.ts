import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { picture, slowUpload, upload } from '../helpers/attachments.js';
import { recordOutcome } from '../helpers/contract-record.js';
import { must, until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  parseAnswer,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type S3Server, startS3 } from '../helpers/s3-server.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

const MiB = 1_024 * 1_024;
const MAX_UPLOAD_BYTES = 400 * MiB;
const NOT_FOUND = { status: 404, code: 'not_found' };
const LIMITS = { MAX_UPLOAD_BYTES: String(MAX_UPLOAD_BYTES), UPLOADS_PER_MINUTE: '0' };

/** A server with its storage; `left` lists every file in it, drafts and parts included. */
interface World {
  readonly server: Server & { readonly database: { readonly url: string } };
  readonly left: () => Promise<string[]>;
}

async function localWorld(): Promise<World> {
  const dataDir = join(inject('runDirectory'), freshName('attachments'));
  const server = await startServerWithDatabase({ ...LIMITS, DATA_DIR: dataDir });
  const left = async (): Promise<string[]> => {
    const entries = await readdir(join(dataDir, 'attachments'), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  };
  return { server, left };
}

let s3: S3Server;
async function s3World(): Promise<World> {
  s3 = await startS3();
  const server = await startServerWithDatabase({ ...LIMITS, ...s3.env });
  return { server, left: s3.left };
}
afterAll(() => s3?.stop());

describe.each([
  ['on disk', localWorld],
  ['in S3', s3World],
])('attachments %s', (where, open) => {
  let world: World;
  let rest: Rest;
  let url: string;
  let sql: postgres.Sql;
  let owner: Account;
  let member: Account;
  let stranger: Account;
  let room: string;

  beforeAll(async () => {
    world = await open();
    url = world.server.url;
    rest = restClient(url);
    sql = postgres(world.server.database.url, { max: 1 });
    [owner, member, stranger] = await Promise.all([newAccount(rest), newAccount(rest), newAccount(rest)]);
    room = (await newRoom(rest, owner, [member])).id;
  });
  afterAll(() => sql.end());

  const get = (link: string, headers: Record<string, string> = {}) => fetch(new URL(link, url), { headers });
  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());
  const rows = async () => (await sql<{ count: number }[]>`select count(*)::int from attachments`)[0]?.count;

  async function empty(): Promise<void> {
    await sql`update attachments set state = 'deleting', due_at = now(), message_id = null, direct_until = null`;
    await until(
      async () => (await rows()) === 0 && (await world.left()).length === 0,
      'nothing left',
      20_000,
    );
  }

  test('an uploaded picture is described, linked and shown with a thumbnail that carries no metadata', async () => {
    const bytes = await picture();
    const answer = await upload(url, owner.token, room, { bytes, name: 'Köln (1).png' });
    expect(answer.status).toBe(201);
    const attachment = dataOf(answer);
    expect(attachment).toMatchObject({
      room_id: room,
      message_id: null,
      file_name: 'Köln (1).png',
      file_type: 'image/png',
      file_size: bytes.length,
      width: 640,
      height: 480,
    });
    const content = await get(attachment.storage_url);
    expect(content.status).toBe(200);
    expect(Buffer.compare(await bytesOf(content), bytes)).toBe(0);
    expect(content.headers.get('content-type')).toBe('image/png');
    expect(content.headers.get('content-disposition')).toContain(`filename*=UTF-8''K%C3%B6ln%20%281%29.png`);
    const thumbnail = await bytesOf(await get(must(attachment.thumbnail_url)));
    const seen = await sharp(thumbnail).metadata();
    expect([seen.format, seen.width, seen.height, seen.exif]).toEqual(['webp', 320, 240, undefined]);
  });

  test('300 MB go through without staying in memory, up and down', { timeout: 180_000 }, async () => {
    const piece = randomBytes(4 * MiB);
    const pieces = 75;
    const resident = async (): Promise<number> => {
      const status = await (await import('node:fs/promises')).readFile(
        `/proc/${world.server.pid}/status`,
        'utf8',
      );
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
    };
    const sending = slowUpload(url, owner.token, room, pieces * piece.length);
    let first = 0; // the most during the first 100 MB: by then all that is needed for any upload is there
    let most = 0;
    for (let i = 0; i < pieces; i++) {
      await sending.write(piece);
      most = Math.max(most, await resident());
      if (i < pieces / 3) first = most;
    }
    sending.end();
    const answer = await sending.answer;
    expect(answer.status, answer.body).toBe(201);
    const attachment = (JSON.parse(answer.body) as { data: Attachment }).data;
    expect(attachment.file_size).toBe(pieces * piece.length);
    let size = 0;
    for await (const chunk of must((await get(attachment.storage_url)).body)) {
      size += (chunk as Uint8Array).length;
      if (size % (16 * MiB) < 65_536) most = Math.max(most, await resident());
    }
    expect(size).toBe(pieces * piece.length);
    expect(most - first).toBeLessThan(150); // MiB, of garbage that may wait for its collection
    await rest.delete(`/attachments/${attachment.id}`, owner.token);
  });

  test('an upload that is aborted in the middle leaves no file, no part and no row', async () => {
    await empty();
    const sending = slowUpload(url, owner.token, room, 30 * MiB);
    await sending.write(randomBytes(12 * MiB));
    await until(async () => (await world.left()).length > 0, 'a part in storage');
    expect(await rows()).toBe(1);
    sending.abort();
    await until(
      async () => (await rows()) === 0 && (await world.left()).length === 0,
      'nothing left',
      20_000,
    );
  });

  test('a file above the limit is refused, declared or not, and leaves nothing', async () => {
    await empty();
    const declared = slowUpload(url, owner.token, room, MAX_UPLOAD_BYTES + MiB);
    expect((await declared.answer).status).toBe(413);
    expect(await rows()).toBe(0);
  });

  test.each([
    ['HTML as a picture', 'image/png', '<!doctype html><script>alert(1)</script>'],
    ['HTML as itself', 'text/html', '<!doctype html><script>alert(1)</script>'],
    ['SVG as a picture', 'image/png', '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'],
    ['SVG as itself', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
    ['XML as text', 'text/plain', '<?xml version="1.0"?><a/>'],
    ['a program as a picture', 'image/png', `MZ${'\0'.repeat(200)}`],
  ])('%s is refused, and nothing of it kept', async (_what, type, text) => {
    await empty();
    const answer = await upload(url, owner.token, room, { bytes: Buffer.from(text), type });
    expect(refusalOf(answer)).toEqual({ status: 415, code: 'unsupported_media_type' });
    await until(async () => (await rows()) === 0, 'no row');
    expect(await world.left()).toEqual([]);
  });

  test('text is saved by a browser, never shown, whatever it holds', async () => {
    const bytes = Buffer.from('<script>alert(1)</script>');
    const attachment = dataOf(
      await upload(url, owner.token, room, { bytes, type: 'text/plain', name: 'a.txt' }),
    );
    expect(attachment.file_type).toBe('text/plain');
    const content = await get(attachment.storage_url);
    expect(content.headers.get('content-type')).toBe('application/octet-stream');
    expect(content.headers.get('content-disposition')).toMatch(/^attachment;/);
  });

  test('a type is what the bytes say, not the claim', async () => {
    const jpeg = await sharp(await picture())
      .jpeg()
      .toBuffer();
    const attachment = dataOf(await upload(url, owner.token, room, { bytes: jpeg, type: 'image/png' }));
    expect(attachment.file_type).toBe('image/jpeg');
    const other = await upload(url, owner.token, room, { bytes: jpeg, type: 'video/mp4' });
    expect(other.body).toMatchObject({ code: 'unsupported_media_type' });
  });

  test.each(['../../etc/passwd', '..\\..\\boot.ini', '/etc/shadow', 'a"; filename="b.html', 'x'.repeat(255)])(
    'the name %s is a label and nothing more',
    async (name) => {
      await empty();
      const answer = await rest.post<{ attachment: Attachment }>(
        `/rooms/${room}/attachments/presign`,
        owner.token,
        {
          file_name: name,
          file_type: 'image/png',
          file_size: 10,
        },
      );
      expect(dataOf(answer).attachment.file_name).toBe(name);
      const attachment = dataOf(
        await upload(url, owner.token, room, { bytes: await picture(), name: name.replaceAll('"', "'") }),
      );
      expect(attachment.file_name).toBe(name.replaceAll('"', "'"));
      for (const file of await world.left()) expect(file).not.toMatch(/passwd|boot|shadow|html|xxx/);
      const { headers } = await get(attachment.storage_url);
      expect(headers.get('content-disposition')).not.toMatch(/[\\/]/);
    },
  );

  test.each([
    ['another field', { field: 'upload' }],
    ['an empty file', { bytes: Buffer.alloc(0) }],
    ['a name of 256 characters', { name: 'x'.repeat(256) }],
  ])('a form with %s is a bad request', async (_what, change) => {
    const answer = await upload(url, owner.token, room, { bytes: await picture(), ...change });
    expect(refusalOf(answer)).toEqual({ status: 400, code: 'bad_request' });
  });

  test.each([
    [
      'multipart/form-data; boundary=x',
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      400,
    ],
    ['multipart/form-data; boundary=x', 'nothing of a form', 400],
    ['multipart/form-data; boundary=x', '', 400],
    ['multipart/form-data', 'abc', 400],
    ['application/json', '{}', 415],
  ])('a body that is no form (%s, %j) is answered %i', async (type, body, status) => {
    const answer = await fetch(`${url}/api/v1/rooms/${room}/attachments`, {
      method: 'POST',
      headers: { authorization: `Bearer ${owner.token}`, 'content-type': type },
      body,
    });
    expect(answer.status).toBe(status);
  });

  test('a picture of too many pixels is a file without thumbnail', async () => {
    const bomb = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: '#000' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const attachment = dataOf(await upload(url, owner.token, room, { bytes: bomb }));
    expect(attachment).toMatchObject({ file_type: 'image/png', thumbnail_url: null, width: null });
    const broken = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(500)]);
    expect(dataOf(await upload(url, owner.token, room, { bytes: broken })).thumbnail_url).toBeNull();
  });

  test('only who may write may upload, and nobody else sees what is not attached yet', async () => {
    const bytes = await picture();
    const file = { bytes };
    const hidden = dataOf(
      await rest.createRoom(owner.token, { name: freshName('room'), type: 'private' }),
    ).id;
    expect(refusalOf(await upload(url, stranger.token, hidden, file))).toEqual(NOT_FOUND);
    expect(refusalOf(await upload(url, stranger.token, room, file))).toEqual({
      status: 403,
      code: 'not_a_member',
    });
    expect((await upload(url, 'nonsense', room, file)).status).toBe(401);
    expect(refusalOf(await upload(url, owner.token, 'nonsense', file))).toEqual({
      status: 400,
      code: 'bad_request',
    });
    const { id } = dataOf(await upload(url, owner.token, room, file));
    for (const { token } of [member, stranger]) {
      expect(refusalOf(await rest.get(`/attachments/${id}`, token))).toEqual(NOT_FOUND);
      expect(refusalOf(await rest.get(`/attachments/${id}/content`, token))).toEqual(NOT_FOUND);
      expect(refusalOf(await rest.delete(`/attachments/${id}`, token))).toEqual(NOT_FOUND);
    }
    expect(dataOf(await rest.get<Attachment>(`/attachments/${id}`, owner.token)).id).toBe(id);
    expect((await rest.delete(`/attachments/${id}`, owner.token)).status).toBe(200);
    expect(refusalOf(await rest.get(`/attachments/${id}`, owner.token))).toEqual(NOT_FOUND);
  });

  test('content comes in ranges', async () => {
    const bytes = randomBytes(700_000);
    bytes.set([0xff, 0xd8, 0xff], 0);
    const { id } = dataOf(await upload(url, owner.token, room, { bytes, type: 'image/jpeg' }));
    const content = (headers: Record<string, string> = {}) =>
      fetch(`${url}/api/v1/attachments/${id}/content`, {
        headers: { authorization: `Bearer ${owner.token}`, ...headers },
      });
    const whole = await content();
    expect([whole.status, whole.redirected]).toEqual([200, where === 'in S3']);
    expect(Buffer.compare(await bytesOf(whole), bytes)).toBe(0);
    recordOutcome('GET /attachments/:attachmentId/content', String(whole.status));
    const part = await content({ range: 'bytes=100000-599999' });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 100000-599999/700000']);
    expect(Buffer.compare(await bytesOf(part), bytes.subarray(100_000, 600_000))).toBe(0);
    const end = await bytesOf(await content({ range: 'bytes=699990-' }));
    expect(Buffer.compare(end, bytes.subarray(699_990))).toBe(0);
    expect((await content({ range: 'bytes=700000-' })).status).toBe(416);
  });

  test('a client brings a file to storage itself, in one request or in parts', {
    timeout: 60_000,
  }, async () => {
    for (const size of [100_000, 17 * MiB]) {
      const bytes = randomBytes(size);
      bytes.set([0xff, 0xd8, 0xff, 0xe0], 0);
      const presigned = await rest.post<{
        attachment: Attachment;
        upload: { url?: string; headers?: Record<string, string>; parts?: { url: string; size: number }[] };
      }>(`/rooms/${room}/attachments/presign`, owner.token, {
        file_name: 'x.jpg',
        file_type: 'image/jpeg',
        file_size: size,
      });
      expect(presigned.status).toBe(201);
      const { attachment, upload: direct } = dataOf(presigned);
      const complete = () => rest.post<Attachment>(`/attachments/${attachment.id}/complete`, owner.token);
      expect(refusalOf(await complete())).toEqual({ status: 400, code: 'bad_request' });
      const parts = direct.parts ?? [{ url: must(direct.url), size }];
      expect(parts.length > 1).toBe(size > 16 * MiB);
      let at = 0;
      for (const part of parts) {
        const body = bytes.subarray(at, at + part.size);
        expect((await fetch(new URL(part.url, url), { method: 'PUT', body })).status).toBe(200);
        at += part.size;
      }
      expect(refusalOf(await rest.post(`/attachments/${attachment.id}/complete`, member.token))).toEqual(
        NOT_FOUND,
      );
      const ready = dataOf(await complete());
      expect(ready).toMatchObject({ file_type: 'image/jpeg', file_size: size });
      expect(dataOf(await complete()).id).toBe(ready.id);
      expect(Buffer.compare(await bytesOf(await get(ready.storage_url)), bytes)).toBe(0);
      // What was checked can't be replaced any more.
      if (direct.parts !== undefined && where === 'in S3') continue; // s3rver takes parts of uploads that are done
      const evil = Buffer.from(randomBytes(parts[0]?.size ?? 0));
      const again = () => fetch(new URL(must(parts[0]).url, url), { method: 'PUT', body: evil });
      if (where === 'in S3') await again().catch(() => undefined);
      else expect(refusalOf(await parseAnswer(await again()))).toEqual({ status: 409, code: 'conflict' });
      expect(Buffer.compare(await bytesOf(await get(ready.storage_url)), bytes)).toBe(0);
      if (where === 'in S3') continue;
      expect((await rest.delete(`/attachments/${attachment.id}`, owner.token)).status).toBe(200);
      expect(refusalOf(await parseAnswer(await again()))).toEqual(NOT_FOUND);
    }
  });

  test('a file brought directly that is not what was announced is refused and removed', async () => {
    await empty();
    const html = Buffer.from('<!doctype html><title>x</title>');
    const presign = (file_type: string) =>
      rest.post<{ attachment: Attachment; upload: { url: string } }>(
        `/rooms/${room}/attachments/presign`,
        owner.token,
        {
          file_name: 'x.png',
          file_type,
          file_size: html.length,
        },
      );
    for (const claim of ['text/html', 'application/x-msdownload', 'Application/X-Sh; charset=utf-8']) {
      const refused = await presign(claim);
      expect(refusalOf(refused)).toEqual({ status: 415, code: 'unsupported_media_type' });
      expect(refused.body).toMatchObject({ field: 'file_type' });
    }
    expect(await rows()).toBe(0);
    const { attachment, upload: direct } = dataOf(await presign('image/png'));
    expect((await fetch(new URL(direct.url, url), { method: 'PUT', body: html })).status).toBe(200);
    const answer = await rest.post(`/attachments/${attachment.id}/complete`, owner.token);
    expect(refusalOf(answer)).toEqual({ status: 415, code: 'unsupported_media_type' });
    expect(refusalOf(await rest.post(`/attachments/${attachment.id}/complete`, owner.token))).toEqual(
      NOT_FOUND,
    );
    await until(async () => (await world.left()).length === 0, 'no file');
  });

  test('what is not attached in time goes, and what a deleted account or room leaves', async () => {
    await empty();
    const other = await newAccount(rest);
    const short = (await newRoom(rest, other)).id;
    dataOf(await upload(url, owner.token, room, { bytes: await picture() }));
    dataOf(await upload(url, other.token, short, { bytes: await picture() }));
    await sql`update attachments set due_at = now() where user_id = ${owner.id}`;
    expect((await rest.delete(`/rooms/${short}`, other.token)).status).toBe(200);
    await until(
      async () => (await rows()) === 0 && (await world.left()).length === 0,
      'nothing left',
      20_000,
    );
  });
});
