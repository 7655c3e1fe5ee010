import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { DirectUpload } from '../../src/protocol/model.js';
import { picture, upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';

const shared = join(inject('runDirectory'), freshName('shared'));
let nodes: Nodes;
let a: Rest;
let b: Rest;
let owner: Account;
let member: Account;
let room: string;
let bytes: Buffer;

beforeAll(async () => {
  nodes = await startNodes([{ STORAGE_DIR: shared }, { STORAGE_DIR: shared }]);
  [a, b] = [restClient(nodes.node(0).url), restClient(nodes.node(1).url)];
  [owner, member] = await Promise.all([newAccount(a), newAccount(b)]);
  room = (await newRoom(a, owner, [member])).id;
  bytes = await picture();
});
afterAll(() => nodes.stop());

async function stored(): Promise<string[]> {
  const entries = await readdir(shared, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function bytesAt(server: Server, path: string, token?: string): Promise<Buffer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(new URL(path, server.url), { headers });
  expect([path, answer.status]).toEqual([path, 200]);
  return Buffer.from(await answer.arrayBuffer());
}

test('what one node has stored the other serves, finishes and removes', async () => {
  const file = dataOf(await upload(nodes.node(0).url, owner.token, room, { bytes })).id;
  const message = dataOf(await a.send(owner.token, room, { content: 'x', attachment_ids: [file] }));
  const seen = must(dataOf(await b.message(member.token, message.id)).attachments[0]);
  expect(await bytesAt(nodes.node(1), `/api/v1/attachments/${file}/content`, member.token)).toEqual(bytes);
  expect(await bytesAt(nodes.node(1), seen.storage_url)).toEqual(bytes);
  expect((await bytesAt(nodes.node(1), must(seen.thumbnail_url))).length).toBeGreaterThan(0);

  const announced = { file_name: 'b.png', file_type: 'image/png', file_size: bytes.length };
  const direct = dataOf(
    await a.post<DirectUpload>(`/rooms/${room}/attachments/presign`, owner.token, announced),
  );
  const { method, url, headers } = direct.upload as {
    method: string;
    url: string;
    headers: Record<string, string>;
  };
  const brought = await fetch(new URL(url, nodes.node(1).url), {
    method,
    headers,
    body: new Uint8Array(bytes),
  });
  expect(brought.status).toBe(200);
  dataOf(await b.post(`/attachments/${direct.attachment.id}/complete`, owner.token));
  expect(await stored()).toHaveLength(4); // two pictures and their thumbnails

  expect((await b.delete(`/attachments/${file}`, owner.token)).status).toBe(200);
  expect((await b.delete(`/attachments/${direct.attachment.id}`, owner.token)).status).toBe(200);
  await until(async () => (await stored()).length === 0, 'an empty directory');
});

test('a node among others whose files nobody shares says so at its start; one alone or sharing doesn’t', {
  timeout: 90_000, // two servers one after the other
}, async () => {
  const REDIS_URL = 'redis://127.0.0.1:1'; // that it is away is another matter
  const { url } = nodes.database;
  const told = async (env: Record<string, string>): Promise<readonly unknown[]> => {
    const server = await startServer({ env: { DATABASE_URL: url, ...env } });
    const lines = server.log().filter(({ event }) => event === 'storage_not_shared');
    await server.stop();
    return lines.map(({ level, directory }) => [level, typeof directory]);
  };
  expect(await told({ REDIS_URL })).toEqual([[40, 'string']]);
  expect(await told({ REDIS_URL, STORAGE_DIR: shared })).toEqual([]);
  expect(
    nodes
      .node(0)
      .log()
      .filter(({ event }) => event === 'storage_not_shared'),
  ).toEqual([]);
});
