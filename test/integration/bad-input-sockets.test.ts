import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ack, Encoding, Frame } from '../helpers/frames.js';
import { type Account, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

const FRAME_CAP = 512 * 1_024; // WS_MAX_FRAME_BYTES' default
const BAD_FRAMES_ALLOWED = 4; // the 5th in 10 s closes the socket
const BOMB_ROUNDS = 5;
const SOCKETS_PER_ROUND = 12;
const RSS_SLACK_BYTES = 64 * 1_024 * 1_024; // garbage that no collection has taken yet

let server: Server;
let rest: Rest;
let account: Account;
let roomId: string;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  account = await newAccount(rest);
  roomId = (await newRoom(rest, account)).id;
});

const open = (encoding: Encoding): Promise<WsClient> =>
  connect({ wsUrl: server.wsUrl, token: account.token, encoding });

const answerTo = (client: WsClient): Promise<Frame> =>
  client.next((frame) => frame.type === 'error', 'an error');

/** The socket still serves requests. */
async function expectAlive(client: WsClient): Promise<void> {
  expect((await client.request('ping')).type).toBe('pong');
}

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  );

/** {"type": "ping", "payload": …} with what stands for the payload left to the caller. */
const pingWith = (...payload: (string | number[])[]): Uint8Array =>
  bytes([0x82, 0xa4], 'type', [0xa4], 'ping', [0xa7], 'payload', ...payload);

describe('a frame that cannot be read is answered with bad_request, and the socket stays', () => {
  test.each<[string, string]>([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['truncated JSON', '{"type":"ping"'],
    ['an array', '[]'],
    ['no type', '{"payload":{}}'],
    ['an unknown type', '{"type":"fly"}'],
    ['a type from the prototype', '{"type":"constructor"}'],
    ['10,000 levels', `{"type":"ping","payload":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['__proto__ in the payload', '{"type":"ping","payload":{"__proto__":{}}}'],
    ['U+0000', '{"type":"ping","payload":{"a":"\\u0000"}}'],
    ['a ref that is an object', '{"type":"ping","ref":{}}'],
    ['a ref of 65 characters', `{"type":"ping","ref":"${'r'.repeat(65)}"}`],
    ['a room_id that is no UUID', '{"type":"join_room","room_id":"here"}'],
  ])('JSON: %s', async (_name, text) => {
    const client = await open('json');
    client.sendRaw(text);
    expect((await answerTo(client)).payload).toMatchObject({ code: 'bad_request', retry: false });
    await expectAlive(client);
    await client.close();
  });

  test.each<[string, Uint8Array]>([
    ['nothing', bytes([])],
    ['a reserved byte', bytes([0xc1])],
    ['a map that ends too early', bytes([0x82, 0xa4], 'type')],
    ['bytes after the value', bytes([0x81, 0xa4], 'type', [0xa4], 'ping', [0xc0])],
    ['an array that claims 4 billion elements', pingWith([0xdd, 0xff, 0xff, 0xff, 0xff])],
    ['a string that claims 4 GB', pingWith([0xdb, 0xff, 0xff, 0xff, 0xff], 'x')],
    ['10,000 levels', pingWith(new Array<number>(10_000).fill(0x91), [0xc0])],
    ['an extension type', pingWith([0xd6, 0xff, 0, 0, 0, 1])],
    ['binary data', pingWith([0xc4, 0x01, 0x00])],
    ['a number as a key', pingWith([0x81, 0x01, 0xc0])],
    ['a member twice', pingWith([0x82, 0xa1], 'a', [0xc0, 0xa1], 'a', [0xc0])],
    ['__proto__ as a key', pingWith([0x81, 0xa9], '__proto__', [0x80])],
    ['a string that is no UTF-8', pingWith([0x81, 0xa1], 'a', [0xa2, 0xc0, 0x80])],
    ['an encoded surrogate', pingWith([0x81, 0xa1], 'a', [0xa3, 0xed, 0xa0, 0x80])],
    ['NaN', pingWith([0x81, 0xa1], 'a', [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])],
  ])('MessagePack: %s', async (_name, data) => {
    const client = await open('msgpack');
    client.sendRaw(data);
    expect((await answerTo(client)).payload).toMatchObject({ code: 'bad_request', retry: false });
    await expectAlive(client);
    await client.close();
  });

  test('a frame of the other kind', async () => {
    for (const encoding of ['json', 'msgpack'] as const) {
      const client = await open(encoding);
      client.sendRaw('{"type":"ping"}', encoding === 'json');
      expect((await answerTo(client)).payload).toMatchObject({ code: 'bad_request' });
      await expectAlive(client);
      await client.close();
    }
  });
});

describe('a frame that breaks the WebSocket protocol closes its socket alone', () => {
  test.each<[string, (client: WsClient) => void]>([
    ['a text frame over the cap', (client) => client.sendRaw('x'.repeat(FRAME_CAP + 1))],
    ['a binary frame over the cap', (client) => client.sendRaw(new Uint8Array(FRAME_CAP + 1))],
    ['invalid UTF-8 in a text frame', (client) => client.sendRaw(bytes('{"a":"', [0xff]), false)],
  ])('%s', async (_name, offend) => {
    const bystander = await open('json');
    const offender = await open('json');
    await bystander.ask('join_room', {}, roomId);
    offend(offender);
    expect([1006, 1007, 1009]).toContain((await offender.closed).code);
    const ack = await bystander.ask<Ack>('send_message', { content: 'still here' }, roomId);
    await bystander.next((frame) => frame.rev === ack.rev, 'its own message');
    await bystander.close();
  });

  test('a frame just under the cap is read', async () => {
    const client = await open('json');
    const padding = ' '.repeat(FRAME_CAP - 100);
    client.sendRaw(`{"type":"ping","ref":"big"${padding}}`);
    expect((await client.next((frame) => frame.ref === 'big', 'pong')).type).toBe('pong');
    await client.close();
  });
});

describe('bombs', () => {
  const jsonBombs = [
    '['.repeat(500_000),
    `{"type":"ping","payload":${'{"a":'.repeat(80_000)}`,
    `{"type":"ping","payload":{"a":[${'{},'.repeat(160_000)}{}]}}`,
    `{"type":"ping","payload":{${Array.from({ length: 40_000 }, (_, i) => `"k${i}":0`).join(',')}}}`,
  ];
  const msgpackBombs = [
    pingWith([0xdd, 0xff, 0xff, 0xff, 0xff]),
    pingWith([0xdf, 0x7f, 0xff, 0xff, 0xff]),
    Buffer.alloc(500_000, 0x91),
    Buffer.concat([pingWith([0xdd, 0x00, 0x07, 0xa1, 0x20]), Buffer.alloc(500_000, 0x90)]),
  ];

  test('leave the memory of the server flat', { timeout: 120_000 }, async (context) => {
    if (process.platform !== 'linux') context.skip('memory is read from /proc');
    const afterRound: number[] = [];
    for (let round = 0; round < BOMB_ROUNDS; round++) {
      for (let i = 0; i < SOCKETS_PER_ROUND; i++) {
        const encoding = i % 2 === 0 ? 'json' : 'msgpack';
        const client = await open(encoding);
        const bombs = encoding === 'json' ? jsonBombs : msgpackBombs;
        for (const bomb of bombs.slice(0, BAD_FRAMES_ALLOWED)) {
          client.sendRaw(bomb);
          expect((await answerTo(client)).payload).toMatchObject({ code: 'bad_request' });
        }
        await expectAlive(client);
        await client.close();
      }
      afterRound.push(await residentBytes(server.pid));
    }
    // What grows with the rounds shows in the last ones too; what a collection takes doesn't.
    const [first = 0, ...later] = afterRound;
    expect(Math.min(...later.slice(-2)) - first).toBeLessThan(RSS_SLACK_BYTES);
  });
});

async function residentBytes(pid: number): Promise<number> {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1_024;
}
