import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { until, within } from '../helpers/deadline.js';
import type { Ack, ErrorPayload, Joined } from '../helpers/frames.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

/** A server with the limits that it has by default, and somebody who uses up all that it lets him. */
const COMMAND_BURST = 1_000; // src/front/requests.ts
const SUBSCRIPTIONS_MAX = 2_000; // the same
const SEND_BURST = 40; // WS_SENDS_PER_SECOND × 2
const ANONYMOUS_MAX = 200; // src/front/connection-counts.ts
const RSS_SLACK_BYTES = 96 * 1_024 * 1_024;

let server: Server;
let rest: Rest;
let victim: Account;
let attacker: Account;
let room: string;
let rssBefore = 0;

beforeAll(async () => {
  server = await startServerWithDatabase({
    RATE_LIMIT_PER_MINUTE: '100',
    WS_SENDS_PER_SECOND: '20',
    MAX_CONNECTIONS_PER_USER: '20',
    MAX_CONNECTIONS_PER_IP: '1000',
    SHARDS: '1',
  });
  rest = restClient(server.url);
});
beforeEach(async () => {
  victim = await newAccount(rest, 'victim');
  attacker = await newAccount(rest, 'attacker');
  room = (await newRoom(rest, victim, [attacker])).id;
  rssBefore = await residentBytes();
});

const open = (
  account: Account,
  onFrame?: (frame: { type: string; payload: unknown }) => void,
): Promise<WsClient> =>
  connect({ wsUrl: server.wsUrl, token: account.token, ...(onFrame ? { onFrame } : {}) });

async function residentBytes(): Promise<number> {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1_024;
}

/** Somebody else is served, within the memory there was, and nothing failed inside. */
async function expectServed(): Promise<void> {
  const client = await open(victim);
  await client.ask<Joined>('join_room', {}, room);
  const ack = await client.ask<Ack>('send_message', { content: 'still here' }, room);
  expect(ack.seq_no).toBeGreaterThan(0);
  await client.close();
  expect((await residentBytes()) - rssBefore).toBeLessThan(RSS_SLACK_BYTES);
  expect(server.log().filter(({ level }) => level === 'error')).toEqual([]);
}

/** Sends frames of one kind until the server closes; the codes of what was refused. */
async function flood(
  frame: () => unknown,
  count: number,
): Promise<{ code: number; refused: Map<string, number> }> {
  const refused = new Map<string, number>();
  const client = await open(attacker, ({ type, payload }) => {
    if (type !== 'error') return;
    const { code } = payload as ErrorPayload;
    refused.set(code, (refused.get(code) ?? 0) + 1);
  });
  for (let n = 0; n < count; n++) client.sendFrame(frame());
  const { code } = await within(client.closed, 20_000, 'the close');
  return { code, refused };
}

describe('a flood of one socket is refused, closed with 4008, and others are served', {
  timeout: 60_000,
}, () => {
  test.each<[string, () => unknown, number]>([
    ['pings', () => ({ type: 'ping' }), COMMAND_BURST + 500],
    ['joins', () => ({ type: 'join_room', room_id: room }), COMMAND_BURST + 500],
    [
      'joins of rooms that are not there',
      () => ({ type: 'join_room', room_id: randomUUID() }),
      COMMAND_BURST + 500,
    ],
    ['leaves', () => ({ type: 'leave_room', room_id: randomUUID() }), COMMAND_BURST + 500],
    ['syncs', () => ({ type: 'sync', room_id: room, payload: { since: 0 } }), COMMAND_BURST + 500],
    [
      'renewals of the token',
      () => ({ type: 'authenticate', payload: { token: attacker.token } }),
      COMMAND_BURST + 500,
    ],
    ['typing', () => ({ type: 'user_typing', room_id: room }), 1_500],
    ['read marks', () => ({ type: 'mark_read', room_id: room, payload: { seq_no: 0 } }), 1_500],
    ['sends', () => ({ type: 'send_message', room_id: room, payload: { content: 'x' } }), 2_000],
    [
      'reactions',
      () => ({ type: 'add_reaction', payload: { message_id: randomUUID(), emoji: '👍' } }),
      2_000,
    ],
    [
      'resumes',
      () => ({ type: 'resume', payload: { rooms: [{ room_id: room, since: 0 }] } }),
      COMMAND_BURST + 500,
    ],
  ])('%s', async (_name, frame, count) => {
    const { code, refused } = await flood(frame, count);
    expect(code).toBe(4008);
    expect(refused.get('rate_limited')).toBeGreaterThan(0);
    await expectServed();
  });

  test.each(['ping', 'pong'] as const)('%ss of the WebSocket protocol', async (frame) => {
    const client = await open(attacker);
    for (let n = 0; n < COMMAND_BURST + 500; n++) client.socket[frame]();
    expect((await within(client.closed, 20_000, 'the close')).code).toBe(4008);
    await expectServed();
  });
});

test('sends over the limit that are looked up are few, so that a socket can’t spend a shard’s credit', async () => {
  const { refused } = await flood(
    () => ({ type: 'send_message', room_id: room, payload: { id: randomUUID(), content: 'x' } }),
    5_000,
  );
  expect(refused.get('overloaded') ?? 0).toBe(0);
  expect(refused.get('rate_limited')).toBeGreaterThanOrEqual(SEND_BURST);
  await expectServed();
});

test('a socket joins so many rooms and no more; leaving makes place', { timeout: 120_000 }, async () => {
  const free = await startServerWithDatabase();
  const other = restClient(free.url);
  const account = await newAccount(other);
  const ids: string[] = [];
  while (ids.length <= SUBSCRIPTIONS_MAX) {
    const made = Array.from({ length: 50 }, () => newRoom(other, account));
    ids.push(...(await Promise.all(made)).map(({ id }) => id));
  }
  const client = await connect({ wsUrl: free.wsUrl, token: account.token });
  const resume = (some: readonly string[]) =>
    client.requestAll(
      'resume',
      { rooms: some.map((room_id) => ({ room_id })) },
      ({ payload }) => payload.last === true,
    );
  for (let from = 0; from < SUBSCRIPTIONS_MAX; from += 500) {
    const frames = await resume(ids.slice(from, from + 500));
    expect(frames.filter(({ type }) => type === 'error')).toEqual([]);
  }
  const last = ids[SUBSCRIPTIONS_MAX];
  const refused = await client.request<ErrorPayload>('join_room', {}, last);
  expect(refused.payload).toMatchObject({ code: 'quota_exceeded', retry: false });
  await client.request('leave_room', {}, ids[0]);
  expect((await client.request('join_room', {}, last)).type).toBe('joined');
  await client.close();
  await free.stop();
});

test('syncs of a room full of the largest messages: others’ sends are all served, and memory stays', {
  timeout: 120_000,
}, async () => {
  const writers = await Promise.all(Array.from({ length: 13 }, () => newAccount(rest)));
  const { id: full } = await newRoom(rest, attacker, writers);
  const largest = { content: '😀'.repeat(5_000), metadata: { a: 'x'.repeat(3_900) } };
  for (const writer of writers) {
    const client = await open(writer);
    for (let n = 0; n < SEND_BURST; n++) await client.ask<Ack>('send_message', largest, full);
    await client.close();
  }
  const answers = new Map<string, number>();
  const attackers = await Promise.all(
    Array.from({ length: 5 }, () =>
      open(attacker, ({ type }) => void answers.set(type, (answers.get(type) ?? 0) + 1)),
    ),
  );
  const client = await open(victim);
  let sent = 0;
  let peak = 0;
  const attack = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      for (const each of attackers) {
        for (let n = 0; n < 2; n++)
          each.sendFrame({ type: 'sync', room_id: full, payload: { since: 0, limit: 500 } });
      }
      const ack = await client.ask<Ack>('send_message', { content: `while it runs ${sent}` }, room);
      expect(ack.seq_no).toBe(++sent);
      peak = Math.max(peak, await residentBytes());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await attack(25);
  // What it takes it keeps for the next ones: it doesn't grow with them.
  rssBefore = await residentBytes();
  peak = 0;
  await attack(50);
  expect(answers.get('synced')).toBeGreaterThan(0);
  expect(peak - rssBefore).toBeLessThan(RSS_SLACK_BYTES);
  for (const each of attackers) await each.close();
  await client.close();
  await expectServed();
});

test('joins beyond the rooms of a socket count as refused', async () => {
  const { code, refused } = await flood(
    () => ({
      type: 'resume',
      payload: { rooms: Array.from({ length: 500 }, () => ({ room_id: randomUUID() })) },
    }),
    COMMAND_BURST,
  );
  expect(code).toBe(4008);
  expect(refused.get('quota_exceeded')).toBeGreaterThan(0);
  await expectServed();
});

describe('connections', { timeout: 60_000 }, () => {
  test('sockets that don’t say whose they are: so many an address, and others come in', async () => {
    const sockets = Array.from({ length: ANONYMOUS_MAX + 50 }, () => new WebSocket(server.wsUrl));
    const outcomes = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<number>((resolve) => {
            socket.on('error', () => undefined);
            socket.on('open', () => resolve(101));
            socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
          }),
      ),
    );
    expect(outcomes.filter((status) => status === 101)).toHaveLength(ANONYMOUS_MAX);
    expect(outcomes.filter((status) => status === 429)).toHaveLength(50);
    await expectServed();
    for (const socket of sockets) socket.terminate();
    const again = await connect({ wsUrl: server.wsUrl, token: victim.token, via: 'frame' });
    await again.close();
  });

  test('a large first frame of nobody is not read: 4003', async () => {
    const client = await connect({ wsUrl: server.wsUrl, token: null });
    client.sendRaw(`{"type":"authenticate","payload":{"token":"${'x'.repeat(100_000)}"}}`);
    expect((await client.closed).code).toBe(4003);
  });

  test('frames that never end cost no more than themselves', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(attacker)));
    // A head of 512 KiB, masked, and half of its bytes.
    const head = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x08, 0, 0, 1, 2, 3, 4]);
    for (const client of clients) {
      const raw = (client.socket as unknown as { _socket: import('node:net').Socket })._socket;
      raw.write(head);
      raw.write(Buffer.alloc(256 * 1_024));
    }
    await expectServed();
    for (const client of clients) client.socket.terminate();
  });

  test('a thousand connections that say nothing', async () => {
    const quiet = Array.from({ length: 1_000 }, () => connectTcp({ port: server.port, host: '127.0.0.1' }));
    for (const socket of quiet) socket.on('error', () => undefined);
    await Promise.all(quiet.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    await expectServed();
    for (const socket of quiet) socket.destroy();
  });
});

test('who asks and asks and reads nothing has one answer of a connection kept, and is cut off', async () => {
  const page = await (await fetch(server.url)).text();
  const [script] = /\/main[\w-]*\.js/.exec(page) ?? [];
  const asked = `GET ${script} HTTP/1.1\r\nhost: a\r\n\r\n`.repeat(300); // 24 MB of answers
  const cutOff = Array.from({ length: 20 }, () => {
    const socket = connectTcp({ port: server.port, host: '127.0.0.1' });
    socket.pause();
    socket.on('error', () => undefined);
    socket.write(asked);
    return socket;
  });
  await until(async () => {
    const text = await (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
    return / 0$/m.test(/^parley_http_unread_bytes\{.*$/m.exec(text)?.[0] ?? '');
  }, 'nothing held');
  await expectServed();
  for (const socket of cutOff) {
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    await within(closed, 20_000, 'the end of the connection');
  }
});

test('bodies whose ends never come are kept up to a bound: the rest is refused, and users are served', {
  timeout: 60_000,
}, async () => {
  const size = 32 * 1_024; // src/http/routes.ts
  const head = `POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\n\r\n`;
  const statuses = new Map<string, number>();
  const sockets: ReturnType<typeof connectTcp>[] = [];
  for (let n = 0; n < 4_000; n++) {
    const socket = connectTcp({ port: server.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.on('data', (answer: Buffer) => {
      const status = answer.toString('latin1', 9, 12);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    });
    socket.write(head);
    socket.write(Buffer.alloc(size - 1, ' '));
    sockets.push(socket);
    if (n % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(() => (statuses.get('503') ?? 0) > 0, 'refused bodies');
  expect((await rest.send(victim.token, room, { content: 'meanwhile' })).status).toBe(201);
  expect((await residentBytes()) - rssBefore).toBeLessThan(RSS_SLACK_BYTES);
  for (const socket of sockets) socket.destroy();
  await until(
    async () => (await rest.login({ email: 'no@example.org', password: 'wrong word' })).status === 401,
    'log-ins',
  );
  await expectServed();
});

describe('REST', { timeout: 60_000 }, () => {
  test('requests with tokens that are no good end in 429, and those with good ones go on', async () => {
    const statuses = new Map<number, number>();
    for (let round = 0; round < 30; round++) {
      const some = Array.from({ length: 50 }, () => rest.get('/users/me', 'no.good.token'));
      for (const { status } of await Promise.all(some)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(statuses.get(401)).toBe(1_000); // RATE_LIMIT_PER_MINUTE × 10
    expect(statuses.get(429)).toBe(500);
    expect((await rest.get('/users/me', victim.token)).status).toBe(200);
    expect((await fetch(`${server.url}/api/v1/openapi.json`)).status).toBe(429);
    expect((await rest.call('GET', '/health/ready')).status).toBe(200);
    await expectServed();
  });

  test('a user who asks more than his limit is refused alone', async () => {
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => rest.get('/users/me', attacker.token)),
    );
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(50);
    expect((await rest.get('/users/me', victim.token)).status).toBe(200);
    await expectServed();
  });

  test.each([
    ['nothing but not', '-a -b -c -d'],
    ['a long phrase', `"${'a '.repeat(95)}"`],
    ['or upon or', 'a or '.repeat(39)],
    ['one-letter words', 'a b c d e f g h i j k l m n o p q r s t u v w x y z'],
    ['quotes that never end', '""""""""""""""""'],
    ['operators', '!!! & | <-> <2> :* ((('],
    ['one word of 200 letters', 'x'.repeat(200)],
  ])('a search for %s is answered or refused', async (_name, q) => {
    const answer = await rest.search(attacker.token, room, { q });
    expect([200, 400]).toContain(answer.status);
  });

  test('rooms by the hundred: the limit of REST holds for them', async () => {
    const body = () => ({ type: 'direct', member_ids: [victim.id] });
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => rest.createRoom(attacker.token, body())),
    );
    const ids = new Set(answers.map((answer) => dataOf(answer).id));
    expect(ids.size).toBe(1);
    const more = Array.from({ length: 100 }, () =>
      rest.createRoom(attacker.token, { type: 'public', name: 'more' }),
    );
    expect((await Promise.all(more)).filter(({ status }) => status === 429).length).toBeGreaterThan(0);
    await expectServed();
  });
});

test('a user makes so many rooms and no more; deleting one makes place, and direct rooms don’t count', async () => {
  const small = await startServerWithDatabase({ MAX_ROOMS_PER_USER: '2' });
  const other = restClient(small.url);
  const [maker, friend] = [await newAccount(other), await newAccount(other)];
  const body = { type: 'public', name: 'one more' };
  const [first] = [await newRoom(other, maker), await newRoom(other, maker)];
  const refused = await other.createRoom(maker.token, body);
  expect([refused.status, refused.body.code]).toEqual([413, 'quota_exceeded']);
  expect((await other.createRoom(maker.token, { type: 'direct', member_ids: [friend.id] })).status).toBe(201);
  await other.delete(`/rooms/${first?.id}`, maker.token);
  expect((await other.createRoom(maker.token, body)).status).toBe(201);
  await small.stop();
});

test('commands of one socket about one room are answered and take effect in their order', async () => {
  const client = await open(victim);
  const order: string[] = [];
  for (let n = 0; n < 30; n++) {
    order.push('joined', 'left');
    client.sendFrame({ type: 'join_room', room_id: room, ref: `j${n}`, payload: { since: 0 } });
    client.sendFrame({ type: 'leave_room', room_id: room, ref: `l${n}` });
  }
  order.push('joined');
  client.sendFrame({ type: 'join_room', room_id: room, ref: 'last', payload: { since: 0 } });
  const answers: string[] = [];
  while (answers.length < order.length) {
    answers.push((await client.next(({ type }) => type === 'joined' || type === 'left', 'an answer')).type);
  }
  expect(answers).toEqual(order);
  const ack = await client.ask<Ack>('send_message', { content: 'heard' }, room);
  await until(() => client.streams.get(room)?.some(({ rev }) => rev === ack.rev), 'the message, as joined');
  await client.close();
});
