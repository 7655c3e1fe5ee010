import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { picture, slowUpload, upload } from '../helpers/attachments.js';
import { createTestDatabase } from '../helpers/database.js';
import { DEADLINE_MS, must, until, within } from '../helpers/deadline.js';
import { dataOf, newAccount, newRoom, refusalOf, restClient } from '../helpers/rest-client.js';
import { type S3Server, startS3 } from '../helpers/s3-server.js';
import { type Server, startServer } from '../helpers/server-process.js';

const MiB = 1_024 * 1_024;
const AWAY_MS = 10_000; // in which storage that is away is said to be

let s3: S3Server;
let database: string;
let sql: postgres.Sql;

beforeAll(async () => {
  s3 = await startS3();
  database = (await createTestDatabase()).url;
  sql = postgres(database, { max: 1 });
});
beforeEach(() => sql`truncate attachments`);
afterAll(async () => {
  await sql.end();
  await s3.stop();
});

const start = (env: Record<string, string> = {}): Promise<Server> =>
  startServer({ env: { DATABASE_URL: database, UPLOADS_PER_MINUTE: '0', SHARDS: '1', ...s3.env, ...env } });

async function inRoom(server: Server) {
  const rest = restClient(server.url);
  const owner = await newAccount(rest);
  return { rest, owner, room: (await newRoom(rest, owner)).id };
}

const nothingLeft = async (): Promise<boolean> =>
  (await sql`select from attachments`).length === 0 && (await s3.left()).length === 0;

test('what a server killed in the middle of an upload leaves is removed by the next one', async () => {
  const server = await start();
  const { owner, room } = await inRoom(server);
  const sending = slowUpload(server.url, owner.token, room, 30 * MiB);
  await sending.write(randomBytes(12 * MiB));
  await until(async () => (await s3.left()).length > 0, 'a part in storage');
  server.kill('SIGKILL');
  await server.exit;
  sending.abort();
  expect(await nothingLeft()).toBe(false);
  await sql`update attachments set due_at = now()`; // a day later
  const next = await start();
  await until(nothingLeft, 'nothing left');
  await next.stop();
});

test('while storage is away, uploads are `unavailable` within ten seconds, messages go on, and then all is well again', {
  timeout: 90_000,
}, async () => {
  const server = await start();
  const { rest, owner, room } = await inRoom(server);
  const bytes = await picture();
  dataOf(await upload(server.url, owner.token, room, { bytes }));
  await s3.stop();
  for (const size of [bytes.length, 8 * MiB]) {
    const file = size === bytes.length ? bytes : Buffer.concat([bytes, randomBytes(size)]);
    const refused = await within(
      upload(server.url, owner.token, room, { bytes: file }),
      AWAY_MS,
      'an answer',
    );
    expect(refusalOf(refused)).toEqual({ status: 503, code: 'unavailable' });
    expect((await rest.send(owner.token, room, { content: 'x' })).status).toBe(201);
  }
  const health = await until(async () => {
    const answer = await rest.call<{ storage: boolean; database: boolean }>('GET', '/health');
    return answer.status === 503 ? answer : null;
  }, 'degraded');
  expect(health.body.data).toMatchObject({ status: 'degraded', database: true, storage: false });
  expect((await rest.call('GET', '/health/ready')).status).toBe(200);
  await s3.start();
  await until(async () => (await rest.call('GET', '/health')).status === 200, 'well again');
  expect((await upload(server.url, owner.token, room, { bytes })).status).toBe(201);
  await sql`update attachments set due_at = now()`;
  await until(nothingLeft, 'nothing left', 30_000);
  await server.stop();
});

test('two servers remove what is due together: all of it, and nothing that is in use', {
  timeout: 150_000,
}, async () => {
  const servers = [await start(), await start()];
  const { rest, owner, room } = await inRoom(must(servers[0]));
  const bytes = await picture(20, 20);
  const ids: string[] = [];
  for (let pair = 0; pair < 30; pair++) {
    const two = servers.map(async ({ url }) => dataOf(await upload(url, owner.token, room, { bytes })).id);
    ids.push(...(await Promise.all(two)));
  }
  const kept = ids.slice(0, 10);
  const message = dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: kept }));
  await sql`update attachments set due_at = now() where state = 'ready'`;
  await until(
    async () => (await sql`select from attachments`).length === kept.length,
    'the rest gone',
    30_000,
  );
  await until(async () => (await s3.left()).length === 2 * kept.length, 'only files and thumbnails in use');
  for (const { storage_url } of message.attachments) expect((await fetch(storage_url)).status).toBe(200);
  for (const server of servers) await server.stop();
});

test('a quota counts what is stored and under way, a limit what is begun in a minute', async () => {
  const bytes = Buffer.concat([await picture(), randomBytes(60_000)]);
  const server = await start({ UPLOAD_QUOTA_BYTES: '150000' });
  const { rest, owner, room } = await inRoom(server);
  const send = () => upload(server.url, owner.token, room, { bytes });
  const first = dataOf(await send());
  const answers = await Promise.all([send(), send(), send()]);
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
  for (const answer of answers.filter((each) => each.status !== 201)) {
    expect(refusalOf(answer)).toEqual({ status: 413, code: 'quota_exceeded' });
  }
  const file = { file_name: 'a', file_type: 'image/png', file_size: 60_000 };
  expect(refusalOf(await rest.post(`/rooms/${room}/attachments/presign`, owner.token, file))).toEqual({
    status: 413,
    code: 'quota_exceeded',
  });
  const large = { ...file, file_size: 40 * MiB };
  expect((await rest.post(`/rooms/${room}/attachments/presign`, owner.token, large)).status).toBe(413);
  expect(await s3.begun()).toEqual([]); // not even an upload in parts that nobody would ever end
  await rest.delete(`/attachments/${first.id}`, owner.token);
  await until(async () => (await send()).status === 201, 'room again', DEADLINE_MS);
  await server.stop();

  const limited = await start({ UPLOADS_PER_MINUTE: '2' });
  const again = await inRoom(limited);
  const statuses = [];
  for (let i = 0; i < 3; i++) {
    statuses.push((await upload(limited.url, again.owner.token, again.room, { bytes })).status);
  }
  expect(statuses).toEqual([201, 201, 429]);
  await limited.stop();
});
