import { beforeAll, describe, expect, test } from 'vitest';
import { must, until } from '../helpers/deadline.js';
import type { Ack, ErrorPayload } from '../helpers/frames.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { type Ear, enter, fillRoom, listen } from '../helpers/signals.js';

const CREDIT_WINDOW = 8_192; // requests under way to one shard
const SIGNAL_BURST = 500; // of one user

let server: Awaited<ReturnType<typeof startServerWithDatabase>>;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '1' });
  rest = restClient(server.url);
});

async function pair(encoding: 'json' | 'msgpack' = 'json') {
  const [ann, ben] = await Promise.all([newAccount(rest, 'ann'), newAccount(rest, 'ben')]);
  const { id: room } = await newRoom(rest, ann, [ben]);
  const annEar = await enter(server.wsUrl, ann, room, encoding);
  const benEar = await enter(server.wsUrl, ben, room, encoding === 'json' ? 'msgpack' : 'json');
  return { ann, ben, room, annEar, benEar, close: () => Promise.all([annEar.close(), benEar.close()]) };
}

const types = (ear: Ear, room_id: string) => ear.sendFrame({ type: 'user_typing', room_id });
const say = (ear: Ear, room: string, content = 'x') => ear.ask<Ack>('send_message', { content }, room);
const isMessage = (ack: Ack) => (frame: { rev?: number }) => frame.rev === ack.rev;

describe('typing', () => {
  test.each(['json', 'msgpack'] as const)(
    'is heard once (%s) however often it is said, and ends with the message',
    async (encoding) => {
      const { ben, room, annEar, benEar, close } = await pair(encoding);
      const startedAt = performance.now();
      for (let n = 0; n < 50; n++) types(benEar, room);
      const heard = await annEar.hears('user_typing', ben);
      expect(heard).toMatchObject({
        room_id: room,
        payload: { user_id: ben.id, username: ben.username },
      });
      expect(heard).not.toHaveProperty('rev');
      const ack = await say(benEar, room);
      await annEar.hears('user_stopped_typing', ben);
      await annEar.next(isMessage(ack), 'the message');
      const most = 1 + Math.floor((performance.now() - startedAt) / 3_000);
      expect(annEar.heard('user_typing', room, ben).length).toBeLessThanOrEqual(most);
      expect(benEar.frames.filter((frame) => frame.type === 'error')).toEqual([]);
      await close();
    },
  );

  test('ends when it is stopped, and by itself', async () => {
    const { ben, room, annEar, benEar, close } = await pair();
    types(benEar, room);
    await annEar.hears('user_typing', ben);
    benEar.sendFrame({ type: 'user_stopped_typing', room_id: room });
    await annEar.hears('user_stopped_typing', ben);
    types(benEar, room); // too early: said a little later
    await annEar.hears('user_typing', ben);
    await annEar.hears('user_stopped_typing', ben);
    await close();
  });

  test('ends when the last socket goes', async () => {
    const { ben, room, annEar, benEar } = await pair();
    types(benEar, room);
    await annEar.hears('user_typing', ben);
    await benEar.close();
    await annEar.hears('user_stopped_typing', ben);
    expect(annEar.heard('user_offline', room, ben)).toEqual([]);
    await annEar.close();
  });

  test('is refused to the muted and to strangers, with the ref of what was asked', async () => {
    const { ann, ben, room, annEar, benEar, close } = await pair();
    const until_ = new Date(Date.now() + 3_600_000).toISOString();
    dataOf(await rest.patchMember(ann.token, room, ben.id, { muted_until: until_ }));
    const code = async (ear: Ear, where: string) =>
      (await ear.request<ErrorPayload>('user_typing', {}, where)).payload.code;
    expect(await code(benEar, room)).toBe('muted');
    const { id: publicRoom } = await newRoom(rest, ann);
    const closed = dataOf(await rest.createRoom(ann.token, { name: 'closed', type: 'private' }));
    expect(await code(benEar, publicRoom)).toBe('not_a_member');
    expect(await code(benEar, closed.id)).toBe('not_found');
    expect((await benEar.request<ErrorPayload>('user_typing', {})).payload.field).toBe('room_id');
    const ack = await say(annEar, room);
    await annEar.next(isMessage(ack), 'the message');
    expect(annEar.heard('user_typing', room)).toEqual([]);
    await close();
  });

  test('frames without an answer give their credit back', { timeout: 60_000 }, async () => {
    const ann = await newAccount(rest, 'ann');
    const { id: room } = await newRoom(rest, ann);
    const crowd = Math.ceil(CREDIT_WINDOW / (SIGNAL_BURST - 10)) + 1;
    for (let n = 0; n < crowd; n++) {
      const ear = await listen(server.wsUrl, await member(room));
      for (let frame = 0; frame < SIGNAL_BURST - 10; frame++) types(ear, room);
      await say(ear, room); // behind them all
      expect(ear.frames.filter((frame) => frame.type === 'error')).toEqual([]);
      await ear.close();
    }
  });

  test('a flood is refused and closes the socket with 4008; others are served', async () => {
    const { room, annEar, benEar } = await pair();
    for (let n = 0; n < SIGNAL_BURST + 400; n++) types(benEar, room);
    const error = await benEar.next((frame) => frame.type === 'error', 'the refusal');
    expect(error.payload).toMatchObject({ code: 'rate_limited', retry: true });
    expect((await benEar.closed).code).toBe(4008);
    expect((await say(annEar, room)).seq_no).toBe(1);
    await annEar.close();
  });
});

async function member(room: string): Promise<Account> {
  const account = await newAccount(rest, 'crowd');
  dataOf(await rest.join(account.token, room));
  return account;
}

describe('read receipts', () => {
  const seqs = (ear: Ear, room: string, about: Account) =>
    ear.heard('read_receipt', room, about).map(({ payload }) => payload.seq_no as number);

  test.each(['json', 'msgpack'] as const)(
    'come (%s) a few for many marks, only rise, and end with the last',
    async (encoding) => {
      const MARKS = 30;
      const { ben, room, annEar, benEar, close } = await pair(encoding);
      for (let n = 0; n < MARKS; n++) await say(annEar, room);
      const startedAt = performance.now();
      for (let seq = 1; seq <= MARKS; seq++) {
        expect((await benEar.request('mark_read', { seq_no: seq }, room)).type).toBe('ok');
      }
      await until(() => seqs(annEar, room, ben).at(-1) === MARKS, 'the last receipt');
      const heard = seqs(annEar, room, ben);
      expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
      expect(heard.length).toBeLessThanOrEqual(2 + Math.floor((performance.now() - startedAt) / 1_000));
      expect(must(annEar.heard('read_receipt', room, ben)[0])).not.toHaveProperty('rev');
      await close();
    },
  );

  test('a mark that moves nothing is told to nobody; REST is told like WebSocket', async () => {
    const { ann, ben, room, annEar, benEar, close } = await pair();
    for (let n = 0; n < 3; n++) await say(annEar, room);
    const mark = async (who: Account, seq_no: number) =>
      dataOf(await rest.post(`/rooms/${room}/read`, who.token, { seq_no }));
    await mark(ben, 2);
    await annEar.hears('read_receipt', ben);
    await mark(ben, 1);
    await mark(ben, 2);
    await benEar.request('mark_read', { seq_no: 999 }, room); // as far as there are messages
    await until(() => seqs(annEar, room, ben).length === 2, 'the second receipt');
    await mark(ann, 3);
    await benEar.hears('read_receipt', ann);
    expect(seqs(annEar, room, ben)).toEqual([2, 3]);
    await close();
  });

  test('in a room of over 1,000 members the user’s own devices alone hear it, and nobody hears typing', async () => {
    const [ann, ben] = await Promise.all([newAccount(rest, 'ann'), newAccount(rest, 'ben')]);
    const { id: room } = await newRoom(rest, ann, [ben]);
    await fillRoom(server.database.url, room, 1_001);
    const annEar = await enter(server.wsUrl, ann, room);
    const benEar = await enter(server.wsUrl, ben, room, 'msgpack');
    const otherDevice = await listen(server.wsUrl, ben);
    types(benEar, room);
    await say(annEar, room);
    await benEar.ask('mark_read', { seq_no: 1 }, room);
    expect((await otherDevice.hears('read_receipt', ben)).payload.seq_no).toBe(1);
    const ack = await say(benEar, room);
    await annEar.next(isMessage(ack), 'the message');
    for (const type of ['read_receipt', 'user_typing']) expect(annEar.heard(type, room)).toEqual([]);
    await Promise.all([annEar, benEar, otherDevice].map((each) => each.close()));
  });
});
