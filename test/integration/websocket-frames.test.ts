import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseStrictMsgpack } from '../../src/protocol/strict-msgpack.js';
import type { Ack, ErrorPayload, Joined, Resumed, Synced } from '../helpers/frames.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let ann: Account;
let ben: Account;
let roomId: string;
let strangeRoom: { readonly id: string };
let privateRoomId: string;
const clients: WsClient[] = [];
let client: WsClient;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  [ann, ben] = await Promise.all([newAccount(rest, 'ann'), newAccount(rest, 'ben')]);
  strangeRoom = dataOf(await rest.createRoom(ben.token, { name: 'theirs', type: 'public' }));
  privateRoomId = dataOf(await rest.createRoom(ben.token, { name: 'closed', type: 'private' })).id;
});
beforeEach(async () => {
  roomId = (await newRoom(rest, ann, [ben])).id;
  client = await connect({
    wsUrl: server.wsUrl,
    token: ann.token,
    encoding: clients.length % 2 ? 'msgpack' : 'json',
  });
  clients.push(client);
});
afterAll(() => Promise.all(clients.map((each) => each.close())));

const send = (content: string): Promise<Ack> => client.ask<Ack>('send_message', { content }, roomId);

/** The code of the error that a request is answered with; fails where it isn't one. */
async function refusal(type: string, payload: unknown, room?: string): Promise<ErrorPayload> {
  const frame = await client.request<ErrorPayload>(type, payload, room);
  expect(frame.type).toBe('error');
  expect(frame.payload.error).toMatch(/\w/);
  return frame.payload;
}

describe('join_room, leave_room', () => {
  test('join without since gives heads and no messages; with since the changes after it', async () => {
    const acks = [await send('a'), await send('b')];
    const plain = await client.ask<Joined>('join_room', {}, roomId);
    expect(plain).toMatchObject({
      room_id: roomId,
      head_seq: 2,
      head_rev: 2,
      role: 'admin',
      unread_count: 2,
    });
    expect(plain.messages).toBeUndefined();
    const caughtUp = await client.ask<Joined>('join_room', { since: 1 }, roomId);
    expect(caughtUp.messages?.map((message) => message.id)).toEqual([acks[1]?.id]);
    expect(caughtUp.more ?? false).toBe(false);
  });

  test('events come after joining and no more after leaving', async () => {
    await client.ask('join_room', {}, roomId);
    const first = await send('seen');
    await client.next((frame) => frame.rev === first.rev, 'the event');
    expect((await client.request('leave_room', {}, roomId)).type).toBe('left');
    await send('unseen');
    await client.request('ping');
    await client.request('join_room', {}, roomId);
    expect(client.streams.get(roomId)?.map((frame) => frame.rev)).toEqual([1]);
  });

  test('refusals: a since beyond the head, a room that is closed to me, one I have not joined', async () => {
    expect((await refusal('join_room', { since: 1 }, roomId)).code).toBe('invalid_since');
    expect((await refusal('join_room', {}, privateRoomId)).code).toBe('not_found');
    expect((await refusal('join_room', {}, randomUUID())).code).toBe('not_found');
    const publicRoom = await newRoom(rest, ben);
    expect((await refusal('join_room', {}, publicRoom.id)).code).toBe('not_a_member');
    expect((await refusal('join_room', {})).field).toBe('room_id');
  });
});

describe('resume', () => {
  test('answers every room by name, refused ones with their code, and ends with last', async () => {
    const other = await newRoom(rest, ann);
    await send('a');
    const rooms = [
      { room_id: roomId, since: 0 },
      { room_id: other.id, since: 5 },
      { room_id: privateRoomId, since: 0 },
    ];
    const frames = await client.requestAll('resume', { rooms }, (frame) => frame.payload.last === true);
    const answers = frames.flatMap((frame) => (frame.payload as unknown as Resumed).rooms);
    expect(frames.map((frame) => frame.type)).toEqual(frames.map(() => 'resumed'));
    const byRoom = Object.fromEntries(answers.map((answer) => [answer.room_id, answer]));
    expect(byRoom[roomId]).toMatchObject({ head_seq: 1, head_rev: 1, messages: [{ seq_no: 1 }] });
    expect(byRoom[other.id]).toMatchObject({ code: 'invalid_since' });
    expect(byRoom[privateRoomId]).toMatchObject({ code: 'not_found' });
    const ack = await send('b');
    await client.next((frame) => frame.rev === ack.rev, 'a live event of the resumed room');
  });

  test('of no rooms is answered, of more than 500 refused', async () => {
    const [frame] = await client.requestAll('resume', { rooms: [] }, (each) => each.payload.last === true);
    expect(frame?.payload).toEqual({ rooms: [], last: true });
    const rooms = Array.from({ length: 501 }, () => ({ room_id: randomUUID(), since: 0 }));
    expect((await refusal('resume', { rooms })).code).toBe('bad_request');
  });
});

describe('sync', () => {
  test('pages through all changes in rev order, at most limit at a time', async () => {
    for (let n = 0; n < 7; n++) await send(`m${n}`);
    const revs: number[] = [];
    let since = 0;
    for (let more = true; more; ) {
      const page = await client.ask<Synced>('sync', { since, limit: 3 }, roomId);
      expect(page.messages.length).toBeLessThanOrEqual(3);
      expect(page.head_rev).toBe(7);
      revs.push(...page.messages.map((message) => message.rev));
      ({ more, next_since: since } = page);
    }
    expect(revs).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(since).toBe(7);
  });

  test('refusals: limits out of range, since beyond the head or missing', async () => {
    for (const limit of [0, 501])
      expect((await refusal('sync', { since: 0, limit }, roomId)).field).toBe('limit');
    expect((await refusal('sync', {}, roomId)).field).toBe('since');
    expect((await refusal('sync', { since: 1 }, roomId)).code).toBe('invalid_since');
  });
});

describe('send, edit, delete', () => {
  test('a repeat is acknowledged as a duplicate with the first result, another body is id_conflict', async () => {
    const body = { id: randomUUID(), content: 'once' };
    const first = await client.ask<Ack>('send_message', body, roomId);
    const again = await client.ask<Ack>('send_message', body, roomId);
    expect(again).toEqual({ ...first, duplicate: true });
    expect((await refusal('send_message', { ...body, content: 'other' }, roomId)).code).toBe('id_conflict');
  });

  test('refusals of a send: a private room, a public one I am not in, empty content', async () => {
    const publicRoom = await newRoom(rest, ben);
    expect((await refusal('send_message', { content: 'x' }, privateRoomId)).code).toBe('not_found');
    expect((await refusal('send_message', { content: 'x' }, publicRoom.id)).code).toBe('not_a_member');
    expect(await refusal('send_message', { content: '' }, roomId)).toMatchObject({
      code: 'bad_request',
      field: 'content',
    });
  });

  test('refusals of edit and delete: another author’s, a tombstone, a message that never was', async () => {
    const theirs = dataOf(await rest.send(ben.token, roomId, { content: 'ben’s' }));
    const mine = await send('mine');
    const edit = (message_id: string) => refusal('edit_message', { message_id, content: 'x' }, roomId);
    expect((await edit(theirs.id)).code).toBe('forbidden');
    expect((await edit(randomUUID())).code).toBe('not_found');
    await client.ask('delete_message', { message_id: mine.id }, roomId);
    expect((await edit(mine.id)).code).toBe('not_found');
    expect((await refusal('delete_message', { message_id: randomUUID() }, roomId)).code).toBe('not_found');
  });

  test('room_id may be left out of edit and delete', async () => {
    const mine = await send('mine');
    const edited = await client.ask('edit_message', { message_id: mine.id, content: 'edited' });
    expect(edited).toEqual({ message_id: mine.id, rev: 2 });
    expect(await client.ask('delete_message', { message_id: mine.id })).toEqual({
      message_id: mine.id,
      rev: 3,
    });
  });
});

test('mark_read moves the watermark and is refused where one is no member', async () => {
  await send('a');
  expect((await client.request('mark_read', { seq_no: 1 }, roomId)).type).toBe('ok');
  expect((await client.ask<Joined>('join_room', {}, roomId)).last_read_seq).toBe(1);
  expect((await refusal('mark_read', { seq_no: 1 }, privateRoomId)).code).toBe('not_found');
  expect((await refusal('mark_read', { seq_no: -1 }, roomId)).field).toBe('seq_no');
});

describe('the frame itself', () => {
  test.each(['text', 'r'.repeat(64), '', 0, -7, Number.MAX_SAFE_INTEGER])(
    'ref %j comes back as it was',
    async (ref) => {
      client.sendFrame({ type: 'ping', ref });
      expect(await client.next((frame) => frame.type === 'pong', 'pong')).toMatchObject({ ref });
    },
  );

  test('an answer to a request without ref has none', async () => {
    client.sendFrame({ type: 'ping' });
    expect(await client.next((frame) => frame.type === 'pong', 'pong')).not.toHaveProperty('ref');
  });

  test('unknown members beside payload are ignored, in payload refused by name', async () => {
    client.sendFrame({ type: 'ping', ref: 'a', colour: 'red', payload: {} });
    expect((await client.next((frame) => frame.ref === 'a', 'pong')).type).toBe('pong');
    expect(await refusal('ping', { colour: 'red' })).toMatchObject({ code: 'bad_request', field: 'colour' });
    expect(await refusal('send_message', { content: 'x', colour: 1 }, roomId)).toMatchObject({
      field: 'colour',
    });
  });

  test('a member twice is refused in the payload and ignored beside it', async () => {
    const json = await connect({ wsUrl: server.wsUrl, token: ann.token });
    json.sendRaw('{"type":"mark_read","payload":{"seq_no":0,"seq_no":0}}');
    const error = await json.next((frame) => frame.type === 'error', 'an error');
    expect(error.payload).toMatchObject({ code: 'bad_request', field: 'seq_no' });
    json.sendRaw('{"type":"ping","ref":1,"x":1,"x":2,"payload":{}}');
    expect((await json.next((frame) => frame.ref === 1, 'pong')).type).toBe('pong');
    await json.close();
  });

  test('MessagePack from the server is plain: string keys, no extension types', async () => {
    const packed = await connect({ wsUrl: server.wsUrl, token: ann.token, encoding: 'msgpack' });
    const frames: unknown[] = [];
    packed.socket.on('message', (data: Buffer) => frames.push(parseStrictMsgpack(data)));
    await packed.ask('join_room', {}, roomId);
    const ack = await packed.ask<Ack>('send_message', { content: 'ü', metadata: { n: 1.5 } }, roomId);
    await packed.next((frame) => frame.rev === ack.rev, 'the event');
    expect(frames).toHaveLength(3);
    await packed.close();
  });
});

describe('too much of it', () => {
  test('the fifth bad frame closes with 4002', async () => {
    for (let n = 0; n < 5; n++) client.sendFrame({ type: 'fly' });
    expect((await client.closed).code).toBe(4002);
    expect((await (await connect({ wsUrl: server.wsUrl, token: ann.token })).request('ping')).type).toBe(
      'pong',
    );
  });

  test('sends over the limit are rate_limited with a time, repeats are answered, and 100 refusals close with 4008', async () => {
    const limited = await startServerWithDatabase({ WS_SENDS_PER_SECOND: '1' });
    const limitedRest = restClient(limited.url);
    const person = await newAccount(limitedRest);
    const room = await newRoom(limitedRest, person);
    const flooding = await connect({ wsUrl: limited.wsUrl, token: person.token });
    const body = { id: randomUUID(), content: 'first' };
    const first = await flooding.ask<Ack>('send_message', body, room.id);
    const flood = Array.from({ length: 60 }, (_, n) =>
      flooding.request<ErrorPayload>('send_message', { content: `flood ${n}` }, room.id),
    );
    const refused = (await Promise.all(flood)).filter((frame) => frame.type === 'error');
    expect(refused.length).toBeGreaterThan(40);
    for (const { payload } of refused) {
      expect(payload).toMatchObject({ code: 'rate_limited', retry: true });
      expect(payload.retry_after_ms).toBeGreaterThan(0);
    }
    expect(await flooding.ask<Ack>('send_message', body, room.id)).toEqual({ ...first, duplicate: true });
    for (let n = 0; n < 100; n++)
      flooding.sendFrame({ type: 'send_message', room_id: room.id, payload: { content: 'x' } });
    expect((await flooding.closed).code).toBe(4008);
    await limited.stop();
  });

  test.each([
    ['to a room that is not there', randomUUID, 'not_found'],
    ['to a public room of others', () => strangeRoom.id, 'not_a_member'],
  ])('100 sends %s close with 4008', async (_, room, code) => {
    const stranger = await newAccount(rest);
    const flooding = await connect({ wsUrl: server.wsUrl, token: stranger.token });
    const first = await flooding.request<ErrorPayload>('send_message', { content: 'x' }, room());
    expect(first.payload.code).toBe(code);
    for (let n = 1; n < 100; n++)
      flooding.sendFrame({ type: 'send_message', room_id: room(), payload: { content: 'x' } });
    expect((await flooding.closed).code).toBe(4008);
  });
});
