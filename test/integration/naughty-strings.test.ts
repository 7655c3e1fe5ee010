import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { must } from '../helpers/deadline.js';
import type { Ack, Encoding } from '../helpers/frames.js';
import { createMember } from '../helpers/member-view.js';
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
import { connect, type WsClient } from '../helpers/ws-client.js';

const AT_ONCE = 50;
const MAX_CODE_POINTS = 5_000; // PROTOCOL §2

const { resolve } = createRequire(import.meta.url);
const json = (file: string): unknown => JSON.parse(readFileSync(resolve(file), 'utf8'));
const naughty = json('big-list-of-naughty-strings/blns.json') as string[];
const emoji = Object.keys(json('unicode-emoji-json/data-by-emoji.json') as Record<string, unknown>);

const isRefused = (text: string): boolean =>
  text === '' || text.includes('\0') || !text.isWellFormed() || [...text].length > MAX_CODE_POINTS;

const ours = [
  'x'.repeat(MAX_CODE_POINTS),
  '👩‍👩‍👧‍👦'.repeat(700),
  '\u0001\u001f\u007f\u0085\u2028\u2029\ufeff\ufffe\uffff',
  '\u{10ffff}\u{e000}',
  'e\u0301 é', // normalisation would make them equal
  ' \t\r\n ',
  emoji.join(''),
  '\ud83d\ude00',
];
const accepted = [...naughty, ...emoji, ...ours].filter((text) => !isRefused(text));
const refused = [
  '',
  '\0',
  'a\0b',
  '\ud800',
  '\udc00x',
  'x'.repeat(MAX_CODE_POINTS + 1),
  '😀'.repeat(MAX_CODE_POINTS + 1),
];

let server: Server;
let rest: Rest;
let account: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  account = await newAccount(rest);
});

interface Sent {
  readonly id: string;
  readonly text: string;
}

/** Sends every text under an id of its own, some at a time. */
async function sendAll(texts: readonly string[], send: (sent: Sent) => Promise<unknown>): Promise<Sent[]> {
  const all = texts.map((text) => ({ id: randomUUID(), text }));
  for (let from = 0; from < all.length; from += AT_ONCE)
    await Promise.all(all.slice(from, from + AT_ONCE).map(send));
  return all;
}

const viaSocket = (client: WsClient, roomId: string) => (sent: Sent) =>
  client.ask<Ack>('send_message', { id: sent.id, content: sent.text }, roomId);
const viaRest = (roomId: string) => async (sent: Sent) => {
  const stored = dataOf(await rest.send(account.token, roomId, { id: sent.id, content: sent.text }));
  if (stored.content !== sent.text)
    throw new Error(`${JSON.stringify(sent.text)} came back from REST changed`);
};

/** What differs, byte for byte, between what was sent and what somebody holds. */
function changed(sent: readonly Sent[], contentOf: (id: string) => string | undefined): string[] {
  return sent.flatMap(({ id, text }) => {
    const content = contentOf(id);
    const same = content !== undefined && Buffer.from(content).equals(Buffer.from(text));
    return same ? [] : [`${JSON.stringify(text)} became ${JSON.stringify(content)}`];
  });
}

describe('every naughty string and every emoji', () => {
  test('the lists are there', () => {
    expect(naughty.length).toBeGreaterThan(400);
    expect(emoji.length).toBeGreaterThan(1_500);
    expect(accepted.length).toBe(naughty.length - 1 + emoji.length + ours.length); // one naughty string is empty
  });

  test.each(['rest', 'json', 'msgpack'] as const)(
    'sent over %s comes back byte for byte, live in both encodings and from history',
    { timeout: 90_000 },
    async (way) => {
      const { id: roomId } = await newRoom(rest, account);
      const readers = (['json', 'msgpack'] as const).map((encoding) =>
        createMember({ wsUrl: () => server.wsUrl, account, encoding }),
      );
      for (const reader of readers) {
        await reader.connect();
        await reader.join(roomId);
      }
      const sender =
        way === 'rest' ? null : await connect({ wsUrl: server.wsUrl, token: account.token, encoding: way });
      const sent = await sendAll(accepted, sender ? viaSocket(sender, roomId) : viaRest(roomId));

      const history = new Map(
        (await wholeHistory(rest, account.token, roomId)).map((each) => [each.id, each]),
      );
      expect(changed(sent, (id) => history.get(id)?.content)).toEqual([]);
      for (const reader of readers) {
        await reader.caughtUp(roomId, sent.length);
        const seen = reader.view(roomId).messages;
        expect(changed(sent, (id) => seen.get(id)?.message?.content)).toEqual([]);
        expect(reader.view(roomId).violations).toEqual([]);
      }
    },
  );

  test('as metadata, keys and values, comes back equal', async () => {
    const { id: roomId } = await newRoom(rest, account);
    const client = await connect({ wsUrl: server.wsUrl, token: account.token, encoding: 'msgpack' });
    const texts = naughty.filter((text) => !isRefused(text) && text !== '__proto__');
    for (let from = 0; from < texts.length; from += AT_ONCE) {
      const metadatas = texts.slice(from, from + AT_ONCE).map((text) => ({ [text]: text, list: [text] }));
      await Promise.all(
        metadatas.map(async (metadata) => {
          const { id } = await client.ask<Ack>('send_message', { content: 'm', metadata }, roomId);
          const stored: Message = dataOf(await rest.message(account.token, id));
          expect(stored.metadata).toEqual(metadata);
        }),
      );
    }
    await client.close();
  });

  test('edited in comes back too', async () => {
    const { id: roomId } = await newRoom(rest, account);
    const { id } = dataOf(await rest.send(account.token, roomId, { content: 'to be edited' }));
    for (const text of naughty.filter((each) => !isRefused(each)).slice(0, 100)) {
      expect(dataOf(await rest.edit(account.token, id, text)).content).toBe(text);
    }
  });
});

describe('a text that the protocol refuses', () => {
  test.each(refused.map((text) => [JSON.stringify(text).slice(0, 20), text] as const))(
    '%s gets bad_request over REST and as a frame, and is not stored',
    async (_name, content) => {
      const { id: roomId } = await newRoom(rest, account);
      expect(refusalOf(await rest.send(account.token, roomId, { content }))).toEqual({
        status: 400,
        code: 'bad_request',
      });
      const encodings: Encoding[] = content.isWellFormed() ? ['json', 'msgpack'] : ['json']; // MessagePack is UTF-8
      for (const encoding of encodings) {
        const client = await connect({ wsUrl: server.wsUrl, token: account.token, encoding });
        const answer = await client.request('send_message', { content }, roomId);
        expect(must(answer.payload.code)).toBe('bad_request');
        await client.close();
      }
      expect(await wholeHistory(rest, account.token, roomId)).toEqual([]);
    },
  );
});
