import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { must } from '../helpers/deadline.js';
import type { Joined, Synced } from '../helpers/frames.js';
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
import { connect } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let ann: Account;
let ben: Account;
let cleo: Account;
let stranger: Account;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2' });
  rest = restClient(server.url);
  [ann, ben, cleo, stranger] = (await Promise.all(
    ['ann', 'ben', 'cleo', 'stranger'].map((name) => newAccount(rest, name)),
  )) as [Account, Account, Account, Account];
});

/** A public room of ann's that ben and cleo have joined. */
const room = async (): Promise<string> => (await newRoom(rest, ann, [ben, cleo])).id;
const say = async (roomId: string, content = 'text', more: object = {}): Promise<Message> =>
  dataOf(await rest.send(ann.token, roomId, { content, ...more }));
const headRev = async (roomId: string) => dataOf(await rest.getRoom(ann.token, roomId)).head_rev;

describe('reactions', () => {
  test('are counted, listed in the order of first use with the newest user first, and taken back', async () => {
    const roomId = await room();
    const { id } = await say(roomId);
    dataOf(await rest.react(ann.token, id, '👍🏽'));
    dataOf(await rest.react(ben.token, id, ':tada:'));
    const answer = dataOf(await rest.react(ben.token, id, '👍🏽'));
    expect(answer).toMatchObject({
      id,
      rev: 4,
      reactions: [
        { emoji: '👍🏽', count: 2, user_ids: [ben.id, ann.id] },
        { emoji: ':tada:', count: 1, user_ids: [ben.id] },
      ],
    });
    expect(dataOf(await rest.message(cleo.token, id))).toEqual(answer);
    expect(await wholeHistory(rest, cleo.token, roomId)).toEqual([answer]);
    expect(dataOf(await rest.myRooms(ann.token))[0]?.last_message).toEqual(answer);
    const left = dataOf(await rest.unreact(ann.token, id, '👍🏽'));
    expect(left).toMatchObject({ rev: 5, updated_at: answer.created_at });
    expect(left.reactions[0]).toEqual({ emoji: '👍🏽', count: 1, user_ids: [ben.id] });
  });

  test('that repeat, and taking back what is not there, change nothing', async () => {
    const roomId = await room();
    const { id } = await say(roomId);
    const first = dataOf(await rest.react(ben.token, id, '🎉'));
    expect(dataOf(await rest.react(ben.token, id, '🎉'))).toEqual(first);
    expect(dataOf(await rest.unreact(ann.token, id, '🎉'))).toEqual(first);
    expect(await headRev(roomId)).toBe(2);
  });

  test('are refused to the muted, to strangers, to non-members, on tombstones and beyond 50 kinds', async () => {
    const roomId = await room();
    const { id } = await say(roomId);
    dataOf(await rest.react(ben.token, id, '🎉'));
    const muted_until = new Date(Date.now() + 3_600_000).toISOString();
    dataOf(await rest.patchMember(ann.token, roomId, ben.id, { muted_until }));
    expect(refusalOf(await rest.react(ben.token, id, '👍'))).toEqual({ status: 403, code: 'muted' });
    expect(dataOf(await rest.unreact(ben.token, id, '🎉')).reactions).toEqual([]);

    expect(refusalOf(await rest.react(stranger.token, id, 'x'))).toEqual({
      status: 403,
      code: 'not_a_member',
    });
    expect(refusalOf(await rest.unreact(stranger.token, id, 'x'))).toEqual({
      status: 403,
      code: 'not_a_member',
    });
    const closed = dataOf(await rest.createRoom(ann.token, { name: 'closed', type: 'private' }));
    const hidden = await say(closed.id);
    const gone = await say(roomId);
    dataOf(await rest.react(ann.token, gone.id, '👍'));
    expect(dataOf(await rest.deleteMessage(ann.token, gone.id)).reactions).toEqual([]);
    for (const answer of [
      await rest.react(stranger.token, hidden.id, '👍'),
      await rest.react(ann.token, randomUUID(), '👍'),
      await rest.react(ann.token, gone.id, '👍'),
      await rest.unreact(ann.token, gone.id, '👍'),
    ]) {
      expect(refusalOf(answer)).toEqual({ status: 404, code: 'not_found' });
    }

    for (let i = 0; i < 50; i++) dataOf(await rest.react(ann.token, id, `:e${i}:`));
    expect(refusalOf(await rest.react(ann.token, id, ':e50:'))).toEqual({ status: 409, code: 'conflict' });
    expect(dataOf(await rest.react(cleo.token, id, ':e49:')).reactions).toHaveLength(50);
  });

  test.each(['', ' ', 'a b', ':', '👍'.repeat(33), 'x'.repeat(65), '\u0000', '\ud800'])(
    'with the emoji %j are a bad_request',
    async (emoji) => {
      const { id } = await say(await room());
      const answer = await rest.react(ann.token, id, emoji);
      expect(refusalOf(answer)).toEqual({ status: 400, code: 'bad_request' });
    },
  );
});

describe('live', () => {
  test.each(['json', 'msgpack'] as const)(
    'reactions and pins come in rev order over %s, and in a resume',
    async (encoding) => {
      const roomId = await room();
      const { id } = await say(roomId);
      const client = await connect({ wsUrl: server.wsUrl, token: ben.token, encoding });
      await client.ask('join_room', {}, roomId);
      const ok = await client.ask('add_reaction', { message_id: id, emoji: '👍' });
      expect(ok).toEqual({ message_id: id, rev: 2 });
      expect(await client.ask('add_reaction', { message_id: id, emoji: '👍' }, roomId)).toEqual(ok);
      dataOf(await rest.react(ann.token, id, '👍'));
      const pinned = dataOf(await rest.pin(ann.token, id));
      expect(await client.ask('remove_reaction', { message_id: id, emoji: '👍' })).toEqual({
        message_id: id,
        rev: 5,
      });
      dataOf(await rest.unpin(ann.token, id));
      await client.next((frame) => frame.rev === 6, 'the last event');
      const events = must(client.streams.get(roomId)).map(({ type, rev, payload }) => ({
        type,
        rev,
        payload,
      }));
      const of = { message_id: id, emoji: '👍' };
      expect(events).toEqual([
        { type: 'reaction_added', rev: 2, payload: { ...of, user_id: ben.id, count: 1 } },
        { type: 'reaction_added', rev: 3, payload: { ...of, user_id: ann.id, count: 2 } },
        { type: 'message_pinned', rev: 4, payload: { message_id: id, user_id: ann.id, message: pinned } },
        { type: 'reaction_removed', rev: 5, payload: { ...of, user_id: ben.id, count: 1 } },
        { type: 'message_unpinned', rev: 6, payload: { message_id: id, user_id: ann.id } },
      ]);
      const now = dataOf(await rest.message(ann.token, id));
      expect(now).toMatchObject({ rev: 6, pinned: false, reactions: [{ emoji: '👍', count: 1 }] });
      const synced = await client.ask<Synced>('sync', { since: 4 }, roomId);
      expect(synced).toEqual({ messages: [now], head_rev: 6, next_since: 6, more: false });
      const joined = await client.ask<Joined>('join_room', { since: 1 }, roomId);
      expect(joined).toMatchObject({ head_rev: 6, messages: [now] });
      await client.close();
    },
  );

  test('a refused reaction is an error frame, and the socket stays', async () => {
    const { id } = await say(await room());
    const client = await connect({ wsUrl: server.wsUrl, token: stranger.token });
    const codeOf = async (payload: unknown) => (await client.request('add_reaction', payload)).payload.code;
    expect(await codeOf({ message_id: id, emoji: '👍' })).toBe('not_a_member');
    expect(await codeOf({ message_id: randomUUID(), emoji: '👍' })).toBe('not_found');
    expect(await codeOf({ message_id: id, emoji: 'a b' })).toBe('bad_request');
    expect(await codeOf({ message_id: id })).toBe('bad_request');
    const back = await client.request('remove_reaction', { message_id: id, emoji: '👍' });
    expect(back.payload.code).toBe('not_a_member');
    expect((await client.request('ping')).type).toBe('pong');
    await client.close();
  });
});

describe('pins', () => {
  test('of moderators are listed latest first, and a repeat changes nothing', async () => {
    const roomId = await room();
    const [one, two] = [await say(roomId, 'one'), await say(roomId, 'two')];
    dataOf(await rest.patchMember(ann.token, roomId, ben.id, { role: 'moderator' }));
    dataOf(await rest.pin(ben.token, two.id));
    const pinned = dataOf(await rest.pin(ann.token, one.id));
    expect(pinned).toMatchObject({ rev: 4, pinned: true });
    expect(dataOf(await rest.pin(ben.token, one.id))).toEqual(pinned);
    expect(dataOf(await rest.pins(cleo.token, roomId)).map(({ id }) => id)).toEqual([one.id, two.id]);
    expect(dataOf(await rest.unpin(ben.token, one.id))).toMatchObject({ rev: 5, pinned: false });
    expect(dataOf(await rest.unpin(ben.token, one.id))).toMatchObject({ rev: 5 });
    dataOf(await rest.deleteMessage(ann.token, two.id));
    expect(dataOf(await rest.pins(cleo.token, roomId))).toEqual([]);
    expect(refusalOf(await rest.pin(ann.token, two.id))).toEqual({ status: 404, code: 'not_found' });
  });

  test('are for moderators and admins, and for both in a direct room', async () => {
    const roomId = await room();
    const { id } = await say(roomId);
    expect(refusalOf(await rest.pin(cleo.token, id))).toEqual({ status: 403, code: 'forbidden' });
    expect(refusalOf(await rest.unpin(cleo.token, id))).toEqual({ status: 403, code: 'forbidden' });
    expect(refusalOf(await rest.pin(stranger.token, id))).toEqual({ status: 403, code: 'not_a_member' });
    expect(refusalOf(await rest.pins(stranger.token, roomId))).toEqual({ status: 403, code: 'not_a_member' });
    const direct = dataOf(await rest.createRoom(ann.token, { type: 'direct', member_ids: [cleo.id] }));
    const whispered = await say(direct.id);
    expect(dataOf(await rest.pin(cleo.token, whispered.id)).pinned).toBe(true);
    expect(refusalOf(await rest.pin(stranger.token, whispered.id))).toEqual({
      status: 404,
      code: 'not_found',
    });
    expect(refusalOf(await rest.pins(stranger.token, direct.id))).toEqual({ status: 404, code: 'not_found' });
  });
});

describe('threads and edits', () => {
  test('a thread is read page by page, by number or id, also under a deleted root', async () => {
    const roomId = await room();
    const root = await say(roomId, 'root');
    const replies: Message[] = [];
    for (let i = 0; i < 7; i++) replies.push(await say(roomId, `reply ${i}`, { thread_root: root.id }));
    dataOf(await rest.deleteMessage(ann.token, must(replies[2]).id));
    dataOf(await rest.deleteMessage(ann.token, root.id));
    const seen: string[] = [];
    for (let after: string | null = '0'; after !== null; ) {
      const page = await rest.thread(ben.token, root.id, { after, limit: 3 });
      seen.push(...dataOf(page).map(({ id }) => id));
      after = must(page.body.page).next;
      expect(must(page.body.page).has_more).toBe(after !== null);
    }
    expect(seen).toEqual(replies.map(({ id }) => id));
    const rest4 = dataOf(await rest.thread(ben.token, root.id, { after: must(replies[3]).id }));
    expect(rest4.map(({ id }) => id)).toEqual(seen.slice(4));
    expect(dataOf(await rest.message(ben.token, root.id))).toMatchObject({ thread_count: 6, content: '' });
    expect(dataOf(await rest.thread(ben.token, must(replies[0]).id))).toEqual([]);
    expect(refusalOf(await rest.thread(stranger.token, root.id))).toEqual({
      status: 403,
      code: 'not_a_member',
    });
    expect(refusalOf(await rest.thread(ann.token, randomUUID()))).toEqual({ status: 404, code: 'not_found' });
    const elsewhere = await rest.thread(ann.token, root.id, { after: randomUUID() });
    expect(refusalOf(elsewhere)).toEqual({ status: 400, code: 'bad_request' });
  });

  test('edits are listed latest first for members, and are gone with the message', async () => {
    const { id } = await say(await room(), 'first');
    dataOf(await rest.edit(ann.token, id, 'second'));
    dataOf(await rest.react(ben.token, id, '👍'));
    const third = dataOf(await rest.edit(ann.token, id, 'third'));
    expect(third.reactions).toHaveLength(1);
    expect(dataOf(await rest.edits(cleo.token, id)).map(({ rev, content }) => [rev, content])).toEqual([
      [4, 'second'],
      [2, 'first'],
    ]);
    expect(refusalOf(await rest.edits(stranger.token, id))).toEqual({ status: 403, code: 'not_a_member' });
    dataOf(await rest.deleteMessage(ann.token, id));
    expect(dataOf(await rest.edits(cleo.token, id))).toEqual([]);
  });
});
