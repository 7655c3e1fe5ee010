import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Attachment, Message } from '../../src/protocol/model.js';
import { picture, upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const NOT_FOUND = { status: 404, code: 'not_found', field: 'attachment_ids' };

let server: Server & { readonly database: { readonly url: string } };
let rest: Rest;
let sql: postgres.Sql;
let owner: Account;
let member: Account;
let room: string;
let bytes: Buffer;

beforeAll(async () => {
  server = await startServerWithDatabase({ UPLOADS_PER_MINUTE: '0' });
  rest = restClient(server.url);
  sql = postgres(server.database.url, { max: 1 });
  [owner, member] = await Promise.all([newAccount(rest), newAccount(rest)]);
  room = (await newRoom(rest, owner, [member])).id;
  bytes = await picture();
});
afterAll(() => sql.end());

async function uploaded(account: Account = owner, roomId: string = room): Promise<string> {
  return dataOf(await upload(server.url, account.token, roomId, { bytes })).id;
}

async function statusOf(link: string): Promise<number> {
  return (await fetch(new URL(link, server.url))).status;
}

function outcome(answer: Awaited<ReturnType<Rest['send']>>) {
  return { ...refusalOf(answer), field: answer.body.field };
}

test('attachments are seen in the answer, live in both encodings and in history, with links that work', async () => {
  const clients = await Promise.all(
    (['json', 'msgpack'] as const).map((encoding) =>
      connect({ wsUrl: server.wsUrl, token: member.token, encoding }),
    ),
  );
  for (const client of clients) await client.ask('join_room', {}, room);
  const ids = [await uploaded(), await uploaded()].reverse();
  const sent = await rest.send(owner.token, room, { content: '', attachment_ids: ids });
  expect(sent.status).toBe(201);
  const message = dataOf(sent);
  expect(message.attachments.map(({ id }) => id)).toEqual(ids);
  const live = await Promise.all(
    clients.map(async (client) => {
      const frame = await client.next((each) => each.type === 'new_message', 'the message');
      return (frame.payload as unknown as { message: Message }).message;
    }),
  );
  const history = dataOf(await rest.messages(member.token, room))[0];
  const single = dataOf(await rest.message(member.token, message.id));
  for (const seen of [message, ...live, must(history), single]) {
    expect(seen.attachments.map(({ id, message_id }) => [id, message_id])).toEqual(
      ids.map((id) => [id, message.id]),
    );
    for (const { storage_url, thumbnail_url } of seen.attachments) {
      expect([await statusOf(storage_url), await statusOf(must(thumbnail_url))]).toEqual([200, 200]);
    }
  }
  expect(dataOf(await rest.get<Attachment>(`/attachments/${must(ids[0])}`, member.token)).message_id).toBe(
    message.id,
  );
  const mine = dataOf(await rest.myRooms(owner.token))[0];
  expect(await statusOf(must(mine?.last_message?.attachments[0]).storage_url)).toBe(200);
  await Promise.all(clients.map((client) => client.close()));
});

test('an id that is foreign, of another room, attached already, unknown or not ready is refused, and no message is', async () => {
  const other = (await newRoom(rest, owner)).id;
  const attached = await uploaded();
  dataOf(await rest.send(owner.token, room, { content: 'x', attachment_ids: [attached] }));
  const pending = dataOf(
    await rest.post<{ attachment: Attachment }>(`/rooms/${room}/attachments/presign`, owner.token, {
      file_name: 'a.png',
      file_type: 'image/png',
      file_size: 10,
    }),
  ).attachment.id;
  const bad = [await uploaded(member), await uploaded(owner, other), attached, randomUUID(), pending];
  const before = dataOf(await rest.getRoom(owner.token, room)).head_seq;
  const good = await uploaded();
  for (const id of bad) {
    const answer = await rest.send(owner.token, room, { content: 'x', attachment_ids: [good, id] });
    expect(outcome(answer)).toEqual(NOT_FOUND);
  }
  expect(outcome(await rest.send(owner.token, room, { content: 'x', attachment_ids: [good, good] }))).toEqual(
    {
      status: 400,
      code: 'bad_request',
      field: 'attachment_ids',
    },
  );
  expect(dataOf(await rest.getRoom(owner.token, room)).head_seq).toBe(before);
  expect((await rest.send(owner.token, room, { content: 'x', attachment_ids: [good] })).status).toBe(201);
});

test('a message has at most ten attachments', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 11; i++) ids.push(await uploaded());
  const refused = await rest.send(owner.token, room, { content: 'x', attachment_ids: ids });
  expect(refusalOf(refused)).toEqual({ status: 400, code: 'bad_request' });
  const ten = dataOf(await rest.send(owner.token, room, { content: 'x', attachment_ids: ids.slice(0, 10) }));
  expect(ten.attachments.map(({ id }) => id)).toEqual(ids.slice(0, 10));
});

test('of many messages that claim one attachment at once, one has it', async () => {
  const id = await uploaded();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => rest.send(owner.token, room, { content: 'mine', attachment_ids: [id] })),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  for (const answer of answers) if (answer.status !== 201) expect(outcome(answer)).toEqual(NOT_FOUND);
});

test('a repeat is answered with the first result and its attachments; other attachments are a conflict', async () => {
  const id = randomUUID();
  const attachment_ids = [await uploaded()];
  const first = await rest.send(owner.token, room, { id, content: 'a', attachment_ids });
  const repeat = await rest.send(owner.token, room, { id, content: 'a', attachment_ids });
  expect([first.status, repeat.status]).toEqual([201, 200]);
  expect(dataOf(repeat)).toMatchObject({ id, seq_no: dataOf(first).seq_no, rev: dataOf(first).rev });
  expect(dataOf(repeat).attachments.map((each) => each.id)).toEqual(attachment_ids);
  const other = await rest.send(owner.token, room, { id, content: 'a', attachment_ids: [await uploaded()] });
  expect(refusalOf(other)).toEqual({ status: 409, code: 'id_conflict' });
});

test('with a deleted message its attachments are gone, from storage too', async () => {
  const id = await uploaded();
  const message = dataOf(await rest.send(owner.token, room, { content: 'a', attachment_ids: [id] }));
  const link = must(message.attachments[0]).storage_url;
  expect(await statusOf(link)).toBe(200);
  const tombstone = dataOf(await rest.deleteMessage(owner.token, message.id));
  expect(tombstone.attachments).toEqual([]);
  expect(refusalOf(await rest.get(`/attachments/${id}`, member.token))).toEqual({
    status: 404,
    code: 'not_found',
  });
  await until(async () => (await statusOf(link)) === 404, 'a dead link');
  await until(async () => (await sql`select from attachments where id = ${id}`).length === 0, 'no row');
});

test('who may act on the uploader may delete what is attached; another member may not', async () => {
  const id = await uploaded(member);
  dataOf(await rest.send(member.token, room, { content: 'a', attachment_ids: [id] }));
  const third = await newAccount(rest);
  dataOf(await rest.addMember(owner.token, room, third.id));
  expect(refusalOf(await rest.delete(`/attachments/${id}`, third.token))).toEqual({
    status: 403,
    code: 'forbidden',
  });
  expect((await rest.delete(`/attachments/${id}`, owner.token)).status).toBe(200);
  expect(dataOf(await rest.messages(member.token, room))[0]?.attachments).toEqual([]);
});
