import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { picture, type SlowUpload, slowUpload, upload } from '../helpers/attachments.js';
import { until, within } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type S3Server, startS3 } from '../helpers/s3-server.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js';

/** Storage that goes away, or silent, while a file is on its way. */

const MiB = 1_024 * 1_024;
const UNAVAILABLE = { status: 503, code: 'unavailable' };
const AWAY_MS = 10_000; // in which storage that is away is said to be
const FOR_EVER_MS = 3_600_000;

let s3: S3Server;
let proxy: TcpProxy;
let server: Server & { readonly database: { readonly url: string } };
let sql: postgres.Sql;
let rest: Rest;
let owner: Account;
let room: string;

beforeAll(async () => {
  s3 = await startS3();
  const port = Number(new URL(s3.config.endpoint ?? '').port);
  proxy = await startTcpProxy(() => port);
  const env = { ...s3.env, STORAGE_ENDPOINT: proxy.url, UPLOADS_PER_MINUTE: '0' };
  server = await startServerWithDatabase(env);
  sql = postgres(server.database.url, { max: 1 });
  rest = restClient(server.url);
  owner = await newAccount(rest);
  room = (await newRoom(rest, owner)).id;
});
beforeEach(async () => {
  await sql`update attachments set state = 'deleting', due_at = now(), message_id = null, direct_until = null`;
  await until(nothingLeft, 'an empty storage', 20_000);
});
afterEach(back);
afterAll(async () => {
  await sql.end();
  await server.stop();
  await proxy.close();
  await s3.stop();
});

async function nothingLeft(): Promise<boolean> {
  return (await sql`select from attachments`).length === 0 && (await s3.left()).length === 0;
}

/** The storage answers again, on new connections. */
function back(): void {
  proxy.refuse(false);
  proxy.delay(0);
  proxy.cut();
}

function stop(): void {
  proxy.refuse(true);
  proxy.cut();
}

function silence(): void {
  proxy.stall();
  proxy.delay(FOR_EVER_MS);
}

function sending(bytes: number): SlowUpload {
  return slowUpload(server.url, owner.token, room, bytes);
}

test.each([
  ['is stopped', stop],
  ['goes silent', silence],
])(
  'where storage %s in the middle of an upload, the client hears so in time, and nothing is left',
  {
    timeout: 60_000,
  },
  async (_how, fail) => {
    const slow = sending(24 * MiB);
    await slow.write(randomBytes(8 * MiB));
    await until(async () => (await s3.left()).length > 0, 'a part in storage');
    fail();
    const remainder = slow.write(randomBytes(16 * MiB)).catch(() => undefined); // the server may close
    const answer = await within(slow.answer, AWAY_MS, 'an answer');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toMatchObject({ success: false, code: 'unavailable' });
    slow.abort();
    await remainder;
    expect((await rest.send(owner.token, room, { content: 'goes on' })).status).toBe(201);
    back();
    await sql`update attachments set due_at = now()`; // the lease of a removal that failed
    await until(nothingLeft, 'nothing left', 30_000);
    await until(
      async () => (await upload(server.url, owner.token, room, { bytes: await picture() })).status === 201,
      'an upload',
    );
  },
);

test('of a file that storage does not take, no more is read than a few parts', {
  timeout: 60_000,
}, async () => {
  const slow = sending(96 * MiB);
  await slow.write(randomBytes(6 * MiB));
  silence();
  let taken = 0;
  const piece = randomBytes(MiB);
  const pushing = (async () => {
    for (; taken < 89 * MiB; taken += piece.length) await slow.write(piece);
  })().catch(() => undefined);
  // Whoever goes on sending may find the connection closed rather than read the answer.
  await within(Promise.allSettled([slow.answer]), AWAY_MS, 'an end');
  slow.abort();
  await pushing;
  // Two parts of 5 MiB, the window, what is still read once refused (16 MiB), and what two sockets hold.
  expect(taken).toBeLessThan(48 * MiB);
});

test.each([
  ['in one request', 100_000],
  ['in parts', 20 * MiB],
])(
  'while storage is silent, a direct upload %s neither begins nor ends, and the client hears so in time; then it ends',
  {
    timeout: 90_000,
  },
  async (_how, file_size) => {
    const file = { file_name: 'a.bin', file_type: 'application/octet-stream', file_size };
    const presign = () =>
      rest.post<{ attachment: Attachment; upload: { url: string; parts?: { url: string; size: number }[] } }>(
        `/rooms/${room}/attachments/presign`,
        owner.token,
        file,
      );
    const { attachment, upload: direct } = dataOf(await presign());
    for (const { url, size } of direct.parts ?? [{ url: direct.url, size: file_size }]) {
      expect((await fetch(url, { method: 'PUT', body: randomBytes(size) })).status).toBe(200);
    }
    const complete = () => rest.post<Attachment>(`/attachments/${attachment.id}/complete`, owner.token);
    silence();
    expect(refusalOf(await within(complete(), AWAY_MS, 'an answer'))).toEqual(UNAVAILABLE);
    if (direct.parts !== undefined) {
      expect(refusalOf(await within(presign(), AWAY_MS, 'an answer'))).toEqual(UNAVAILABLE);
      // It takes nothing of the quota.
      expect(await sql`select from attachments where state = 'pending'`).toHaveLength(1);
    }
    back();
    await until(async () => (await complete()).status === 200, 'the end', 30_000);
  },
);
