import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { must } from '../helpers/deadline.js';
import type { Ack, Encoding, Joined } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
});

interface Party {
  readonly account: Account;
  readonly client: WsClient;
}

async function party(name: string, encoding: Encoding): Promise<Party> {
  const account = await newAccount(rest, name);
  return { account, client: await connect({ wsUrl: server.wsUrl, token: account.token, encoding }) };
}

/** Two people in one public room, both joined. */
async function conversation(): Promise<{ ann: Party; ben: Party; roomId: string }> {
  const ann = await party('ann', 'json');
  const ben = await party('ben', 'msgpack');
  const room = await newRoom(rest, ann.account, [ben.account]);
  for (const { client } of [ann, ben]) await client.ask<Joined>('join_room', {}, room.id);
  return { ann, ben, roomId: room.id };
}

const eventOf = (client: WsClient, type: string): Promise<Message> =>
  client.next((frame) => frame.type === type, type).then((frame) => frame.payload.message as Message);

describe('two clients in mixed encodings', () => {
  test('each receives what the other sends, as the same complete Message', async () => {
    const { ann, ben, roomId } = await conversation();
    const fromAnn = await ann.client.ask<Ack>(
      'send_message',
      { content: `hello @${ben.account.username}` },
      roomId,
    );
    const fromBen = await ben.client.ask<Ack>(
      'send_message',
      {
        content: 'hi 👋',
        reply_to: fromAnn.id,
        metadata: { mood: 'fine', n: 1.5, deep: [true, null, { a: 'ü' }] },
      },
      roomId,
    );
    expect([fromAnn.seq_no, fromBen.seq_no, fromAnn.rev, fromBen.rev]).toEqual([1, 2, 1, 2]);
    expect([fromAnn.duplicate, fromBen.duplicate]).toEqual([false, false]);

    const seen: Message[][] = [];
    for (const { client } of [ann, ben]) {
      seen.push([await eventOf(client, 'new_message'), await eventOf(client, 'new_message')]);
    }
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]).toEqual(await wholeHistory(rest, ann.account.token, roomId));
    const common = {
      room_id: roomId,
      type: 'text',
      thread_root: null,
      thread_count: 0,
      edited: false,
      edited_at: null,
      pinned: false,
      reactions: [],
      attachments: [],
      created_at: expect.stringMatching(TIMESTAMP),
      updated_at: expect.stringMatching(TIMESTAMP),
      deleted_at: null,
    };
    expect(seen[0]).toEqual([
      {
        ...common,
        id: fromAnn.id,
        user_id: ann.account.id,
        username: ann.account.username,
        seq_no: 1,
        rev: 1,
        content: `hello @${ben.account.username}`,
        metadata: {},
        mentions: [ben.account.id],
        reply_to: null,
      },
      {
        ...common,
        id: fromBen.id,
        user_id: ben.account.id,
        username: ben.account.username,
        seq_no: 2,
        rev: 2,
        content: 'hi 👋',
        metadata: { mood: 'fine', n: 1.5, deep: [true, null, { a: 'ü' }] },
        mentions: [],
        reply_to: fromAnn.id,
      },
    ]);
    expect(fromAnn.id).toMatch(UUID);
    expect(fromAnn.created_at).toBe(seen[0]?.[0]?.created_at);
  });

  test('an edit reaches both with a rev of its own and marks the message as edited', async () => {
    const { ann, ben, roomId } = await conversation();
    const sent = await ann.client.ask<Ack>('send_message', { content: 'frist' }, roomId);
    const edited = await ann.client.ask<{ message_id: string; rev: number }>(
      'edit_message',
      { message_id: sent.id, content: 'first' },
      roomId,
    );
    expect(edited).toEqual({ message_id: sent.id, rev: 2 });
    for (const { client } of [ann, ben]) {
      const frame = await client.next((event) => event.type === 'message_updated', 'message_updated');
      expect(frame).toMatchObject({ room_id: roomId, rev: 2, payload: { message_id: sent.id } });
      expect(frame.payload.message).toMatchObject({
        id: sent.id,
        seq_no: 1,
        rev: 2,
        content: 'first',
        edited: true,
        edited_at: expect.stringMatching(TIMESTAMP),
        created_at: sent.created_at,
      });
      expect(frame.payload.message).toEqual(dataOf(await rest.message(ann.account.token, sent.id)));
    }
  });

  test('a deletion reaches both and leaves a tombstone that keeps its number', async () => {
    const { ann, ben, roomId } = await conversation();
    const sent = await ben.client.ask<Ack>('send_message', { content: 'oops' }, roomId);
    const deleted = await ben.client.ask<unknown>('delete_message', { message_id: sent.id }, roomId);
    expect(deleted).toEqual({ message_id: sent.id, rev: 2 });
    for (const { client } of [ann, ben]) {
      const frame = await client.next((event) => event.type === 'message_deleted', 'message_deleted');
      expect(frame).toMatchObject({ room_id: roomId, rev: 2, payload: { message_id: sent.id, seq_no: 1 } });
    }
    const [tombstone] = await wholeHistory(rest, ann.account.token, roomId);
    expect(tombstone).toMatchObject({
      id: sent.id,
      seq_no: 1,
      rev: 2,
      content: '',
      attachments: [],
      reactions: [],
      deleted_at: expect.stringMatching(TIMESTAMP),
    });
  });

  test('a room event carries room_id, rev and an integer timestamp, and no ref', async () => {
    const { ann, ben, roomId } = await conversation();
    await ann.client.ask<Ack>('send_message', { content: 'x' }, roomId);
    for (const { client } of [ann, ben]) {
      const frame = await client.next((event) => event.type === 'new_message', 'new_message');
      expect(Object.keys(frame).sort()).toEqual(['payload', 'rev', 'room_id', 'timestamp', 'type']);
      expect(Number.isSafeInteger(must(frame.timestamp))).toBe(true);
    }
  });

  test('welcome names the user and the session, joined names role and heads', async () => {
    const account = await newAccount(rest);
    const client = await connect({ wsUrl: server.wsUrl, token: null });
    client.sendFrame({ type: 'authenticate', payload: { token: account.token } });
    const welcome = await client.next((frame) => frame.type === 'welcome', 'welcome');
    expect(welcome.payload).toMatchObject({
      user_id: account.id,
      session_id: expect.stringMatching(UUID),
      server_time: expect.anything(),
      heartbeat_s: expect.any(Number),
      limits: expect.any(Object),
    });
    const room = await newRoom(rest, account);
    const joined = await client.ask<Joined>('join_room', {}, room.id);
    expect(joined).toMatchObject({
      room_id: room.id,
      role: 'admin',
      head_seq: 0,
      head_rev: 0,
      last_read_seq: 0,
      unread_count: 0,
    });
    expect(joined.messages).toBeUndefined();
  });
});
