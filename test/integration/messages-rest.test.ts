import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { must } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

let server: Server;
let rest: Rest;
let ann: Account;
let ben: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  [ann, ben] = await Promise.all([newAccount(rest, 'ann'), newAccount(rest, 'ben')]);
});

const room = async (): Promise<string> => (await newRoom(rest, ann, [ben])).id;

async function sendMany(roomId: string, count: number): Promise<Message[]> {
  const sent: Message[] = [];
  for (let n = 1; n <= count; n++)
    sent.push(dataOf(await rest.send(ann.token, roomId, { content: `message ${n}` })));
  return sent;
}

describe('sending', () => {
  test('answers 201 with the whole message, which history repeats', async () => {
    const roomId = await room();
    const id = randomUUID();
    const answer = await rest.send(ann.token, roomId, { id, content: 'x', metadata: { k: 'v' } });
    expect(answer.status).toBe(201);
    expect(dataOf(answer)).toMatchObject({
      id,
      seq_no: 1,
      rev: 1,
      content: 'x',
      metadata: { k: 'v' },
      edited: false,
    });
    expect(dataOf(await rest.message(ben.token, id))).toEqual(dataOf(answer));
    expect(await wholeHistory(rest, ben.token, roomId)).toEqual([dataOf(answer)]);
  });

  test('a repeat of an id answers 200 with the first result and stores nothing', async () => {
    const roomId = await room();
    const body = { id: randomUUID(), content: 'once', metadata: { a: 1, b: [2] } };
    const first = dataOf(await rest.send(ann.token, roomId, body));
    await rest.send(ann.token, roomId, { content: 'between' });
    const again = await rest.send(ann.token, roomId, {
      metadata: { b: [2], a: 1 },
      content: 'once',
      id: body.id,
    });
    expect(again.status).toBe(200);
    const { id, seq_no, rev, created_at } = first;
    expect(dataOf(again)).toMatchObject({ id, seq_no, rev, created_at });
    expect(await wholeHistory(rest, ann.token, roomId)).toHaveLength(2);
  });

  test('a repeat after an edit is compared with what was sent first', async () => {
    const roomId = await room();
    const body = { id: randomUUID(), content: 'draft' };
    const first = dataOf(await rest.send(ann.token, roomId, body));
    dataOf(await rest.edit(ann.token, body.id, 'final'));
    const again = await rest.send(ann.token, roomId, body);
    expect(again.status).toBe(200);
    expect(dataOf(again)).toMatchObject({
      seq_no: first.seq_no,
      rev: first.rev,
      created_at: first.created_at,
    });
    const other = await rest.send(ann.token, roomId, { ...body, content: 'final' });
    expect(refusalOf(other)).toEqual({ status: 409, code: 'id_conflict' });
  });

  test('the same id with another body, room or author is an id_conflict', async () => {
    const [here, there] = [await room(), await room()];
    const body = { id: randomUUID(), content: 'mine' };
    dataOf(await rest.send(ann.token, here, body));
    for (const answer of [
      await rest.send(ann.token, here, { ...body, content: 'other' }),
      await rest.send(ann.token, here, { ...body, metadata: { a: 1 } }),
      await rest.send(ann.token, there, body),
      await rest.send(ben.token, here, body),
    ]) {
      expect(refusalOf(answer)).toEqual({ status: 409, code: 'id_conflict' });
    }
    expect(await wholeHistory(rest, ann.token, there)).toEqual([]);
  });

  test('a reply names a message of the same room, or is refused', async () => {
    const [here, there] = [await room(), await room()];
    const [first] = await sendMany(here, 1);
    const reply = await rest.send(ben.token, here, { content: 'yes', reply_to: must(first).id });
    expect(dataOf(reply).reply_to).toBe(must(first).id);
    for (const reply_to of [randomUUID(), must(first).id]) {
      const answer = await rest.send(ann.token, there, { content: 'what?', reply_to });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    }
    expect(await wholeHistory(rest, ann.token, there)).toEqual([]);
  });

  test('mentions are the members named, in any case, each once', async () => {
    const roomId = await room();
    const stranger = await newAccount(rest, 'stranger');
    const content = `@${ben.username.toUpperCase()} @${ben.username} @${stranger.username} @nobody-here mail@${ann.username}`;
    const { mentions } = dataOf(await rest.send(ann.token, roomId, { content }));
    expect(mentions).toContain(ben.id);
    expect(mentions).not.toContain(stranger.id);
    expect(new Set(mentions).size).toBe(mentions.length);
  });
});

describe('editing and deleting', () => {
  test('an edit takes the next rev, keeps number and creation, and is refused to everybody else', async () => {
    const roomId = await room();
    const [message] = await sendMany(roomId, 2);
    const { id, created_at } = must(message);
    expect(refusalOf(await rest.edit(ben.token, id, 'forged'))).toEqual({ status: 403, code: 'forbidden' });
    const edited = dataOf(await rest.edit(ann.token, id, 'better'));
    expect(edited).toMatchObject({ id, seq_no: 1, rev: 3, content: 'better', edited: true, created_at });
    expect(edited.edited_at).not.toBeNull();
    expect(dataOf(await rest.getRoom(ann.token, roomId))).toMatchObject({ head_seq: 2, head_rev: 3 });
  });

  test('a tombstone keeps its number, shows nothing, and can be neither edited nor revived', async () => {
    const roomId = await room();
    const body = { id: randomUUID(), content: 'secret' };
    dataOf(await rest.send(ann.token, roomId, body));
    const deleted = dataOf(await rest.deleteMessage(ann.token, body.id));
    expect(deleted).toMatchObject({
      id: body.id,
      seq_no: 1,
      rev: 2,
      content: '',
      attachments: [],
      reactions: [],
    });
    expect(deleted.deleted_at).not.toBeNull();
    expect(refusalOf(await rest.edit(ann.token, body.id, 'back'))).toEqual({
      status: 404,
      code: 'not_found',
    });
    expect((await rest.send(ann.token, roomId, body)).status).toBe(200);
    expect(await wholeHistory(rest, ben.token, roomId)).toEqual([deleted]);
    expect(dataOf(await rest.getRoom(ann.token, roomId))).toMatchObject({ head_seq: 1, head_rev: 2 });
  });

  test('a moderator deletes what a member wrote, a member nothing of others', async () => {
    const roomId = await room();
    const message = dataOf(await rest.send(ben.token, roomId, { content: 'mine' }));
    const other = dataOf(await rest.send(ann.token, roomId, { content: 'the admin’s' }));
    expect(refusalOf(await rest.deleteMessage(ben.token, other.id))).toEqual({
      status: 403,
      code: 'forbidden',
    });
    expect(dataOf(await rest.deleteMessage(ann.token, message.id)).deleted_at).not.toBeNull();
  });

  test('a message that is not there, or not for the asker, is not_found', async () => {
    const stranger = await newAccount(rest);
    const closed = dataOf(await rest.createRoom(ann.token, { name: 'closed', type: 'private' }));
    const hidden = dataOf(await rest.send(ann.token, closed.id, { content: 'hidden' }));
    for (const id of [hidden.id, randomUUID()]) {
      for (const answer of [
        await rest.message(stranger.token, id),
        await rest.edit(stranger.token, id, 'x'),
        await rest.deleteMessage(stranger.token, id),
      ]) {
        expect(refusalOf(answer)).toEqual({ status: 404, code: 'not_found' });
      }
    }
  });
});

describe('history by number', () => {
  const COUNT = 25;
  let roomId: string;
  let sent: Message[];
  beforeAll(async () => {
    roomId = await room();
    sent = await sendMany(roomId, COUNT);
  });

  const numbers = async (query: Record<string, string | number>): Promise<number[]> =>
    dataOf(await rest.messages(ben.token, roomId, query)).map((message) => message.seq_no);
  const idOf = (seqNo: number): string => must(sent[seqNo - 1]).id;

  test('without a cursor the newest 20 come, newest first', async () => {
    expect(await numbers({})).toEqual(Array.from({ length: 20 }, (_, index) => COUNT - index));
  });

  test('before and after give the nearest to the cursor without it, by number or by id', async () => {
    for (const cursor of [10, idOf(10)]) {
      expect(await numbers({ before: cursor, limit: 3 })).toEqual([9, 8, 7]);
      expect(await numbers({ after: cursor, limit: 3 })).toEqual([13, 12, 11]);
    }
    expect(await numbers({ before: 1 })).toEqual([]);
    expect(await numbers({ after: COUNT })).toEqual([]);
    expect(await numbers({ after: 0, limit: 2 })).toEqual([2, 1]);
    expect(await numbers({ before: 1_000_000, limit: 2 })).toEqual([25, 24]);
  });

  test('around holds the cursor in its midst, by number or by id', async () => {
    for (const cursor of [10, idOf(10)]) {
      const found = await numbers({ around: cursor, limit: 5 });
      expect(found).toEqual([12, 11, 10, 9, 8]);
    }
    expect(await numbers({ around: 25, limit: 3 })).toContain(25);
    expect(await numbers({ around: 1, limit: 3 })).toContain(1);
  });

  test.each([1, 2, 5, 7])(
    'page.next of around goes back to the first message, %i at a time',
    async (limit) => {
      const seen = new Set<number>();
      for (let around: string | null = '20', pages = 0; around !== null; pages++) {
        expect(pages).toBeLessThan(COUNT);
        const answer = await rest.messages(ben.token, roomId, { around, limit });
        for (const { seq_no } of dataOf(answer)) seen.add(seq_no);
        around = answer.body.page?.next ?? null;
      }
      const top = 20 + Math.floor(limit / 2);
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: top }, (_, i) => i + 1));
    },
  );

  test('a limit of 1 and of 100 are allowed', async () => {
    expect(await numbers({ limit: 1 })).toEqual([25]);
    expect(await numbers({ limit: 100 })).toHaveLength(COUNT);
  });

  test('page.next leads through all of it backwards, and forwards with after', async () => {
    expect(await wholeHistory(rest, ben.token, roomId, 7)).toEqual(sent);
    const forwards: number[] = [];
    for (let after: string | null = '0'; after !== null; ) {
      const answer = await rest.messages(ben.token, roomId, { after, limit: 7 });
      forwards.push(
        ...dataOf(answer)
          .map((message) => message.seq_no)
          .reverse(),
      );
      const page = must(answer.body.page);
      after = page.has_more ? must(page.next) : null;
    }
    expect(forwards).toEqual(sent.map((message) => message.seq_no));
  });

  test('the last page says so', async () => {
    expect((await rest.messages(ben.token, roomId, { limit: COUNT })).body.page).toMatchObject({
      has_more: false,
    });
    expect((await rest.messages(ben.token, roomId, { limit: 24 })).body.page).toMatchObject({
      has_more: true,
    });
    expect((await rest.messages(ben.token, await room(), {})).body.page).toEqual({
      has_more: false,
      next: null,
    });
  });

  test('two cursors at once, or the id of a message elsewhere, are refused', async () => {
    const both = await rest.messages(ben.token, roomId, { before: 5, after: 2 });
    expect(refusalOf(both)).toEqual({ status: 400, code: 'bad_request' });
    const elsewhere = dataOf(await rest.send(ann.token, await room(), { content: 'elsewhere' }));
    for (const before of [elsewhere.id, randomUUID()]) {
      const answer = await rest.messages(ben.token, roomId, { before });
      expect([400, 404]).toContain(answer.status);
    }
  });
});
