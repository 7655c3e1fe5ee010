import { createConnection } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { DEADLINE_MS, within } from '../helpers/deadline.js';
import type { Ack } from '../helpers/frames.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { claimsOf, resigned, unsigned } from '../helpers/tokens.js';
import { type Closed, connect, connectRefused, type WsClient } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let account: Account;

beforeAll(async () => {
  server = await startServerWithDatabase({ ALLOWED_ORIGINS: 'https://app.example.org' });
  rest = restClient(server.url);
  account = await newAccount(rest);
});

const WAYS = ['header', 'subprotocol', 'frame'] as const;
const ENCODINGS = ['json', 'msgpack'] as const;

const closeOf = (client: WsClient): Promise<Closed> => within(client.closed, 2 * DEADLINE_MS, 'the close');

const badTokens = (): string[] => [
  'nonsense',
  unsigned(account.token),
  resigned(account.token, {}, { secret: 'x'.repeat(40) }),
  resigned(account.token, { exp: 1 }),
  resigned(account.token, { sid: 'none' }),
];

/** Upgrades with `Connection: close` and pings: `pong`, or `closed` if the server ends the connection instead. */
function pingAfterWelcome(token: string): Promise<'pong' | 'closed'> {
  const socket = createConnection({ port: server.port, host: '127.0.0.1' });
  const lines = [
    'GET /api/v1/ws HTTP/1.1',
    'Host: localhost',
    'Connection: close',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    `Authorization: Bearer ${token}`,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const outcome = new Promise<'pong' | 'closed'>((resolve) => {
    const pong = '\x8a\x00';
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (received.endsWith(pong)) resolve('pong');
      else if (received.includes('"welcome"')) socket.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0])); // a masked ping
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve('closed'));
  });
  return within(outcome, DEADLINE_MS, 'a pong').finally(() => socket.destroy());
}

describe('authentication', () => {
  test.each(WAYS.flatMap((via) => ENCODINGS.map((encoding) => ({ via, encoding }))))(
    'through the $via with $encoding gives welcome',
    async ({ via, encoding }) => {
      const client = await connect({ wsUrl: server.wsUrl, token: account.token, via, encoding });
      expect(client.socket.protocol).toBe(`parley.${encoding}`);
      expect((await client.request('ping')).type).toBe('pong');
      await client.close();
    },
  );

  test('of sessions never seen before keeps the sockets that it opens', async () => {
    // Upgraded later than in its handler, uWebSockets closed a third of those whose request says `close`.
    const accounts = await Promise.all(Array.from({ length: 40 }, () => newAccount(rest)));
    const outcomes = await Promise.all(accounts.map(({ token }) => pingAfterWelcome(token)));
    expect(new Set(outcomes)).toEqual(new Set(['pong']));
  });

  test('without a subprotocol speaks JSON', async () => {
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(server.wsUrl, { headers: { authorization: `Bearer ${account.token}` } });
    const first = new Promise<string>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('message', (data: Buffer, isBinary) => resolve(isBinary ? 'binary' : data.toString()));
    });
    expect(JSON.parse(await within(first, DEADLINE_MS, 'welcome'))).toMatchObject({ type: 'welcome' });
    socket.close();
  });

  test('in the header fails with 401 before the upgrade', async () => {
    for (const token of badTokens()) {
      const refused = await connectRefused({ wsUrl: server.wsUrl, token });
      expect(refused.status).toBe(401);
      expect(JSON.parse(refused.body)).toMatchObject({ success: false, request_id: expect.any(String) });
    }
  });

  test.each(['subprotocol', 'frame'] as const)('through the %s fails with close 4004', async (via) => {
    for (const token of badTokens()) {
      const refused = await connectRefused({ wsUrl: server.wsUrl, token, via });
      expect([refused.status, refused.closeCode]).toEqual([null, 4004]);
    }
  });

  test('by frame answers authenticated with user and session, and renews an open socket', async () => {
    const client = await connect({ wsUrl: server.wsUrl, token: account.token });
    const { token } = dataOf(await rest.refresh((await newSession()).refresh_token));
    const expected = { user_id: account.id, session_id: claimsOf(account.token).sid };
    expect(await client.ask('authenticate', { token: account.token })).toEqual(expected);
    expect(await client.ask('authenticate', { token })).toMatchObject({ user_id: account.id });
    await client.close();
  });

  test('on an open socket as somebody else is refused', async () => {
    const other = await newAccount(rest);
    const client = await connect({ wsUrl: server.wsUrl, token: account.token });
    client.sendFrame({ type: 'authenticate', ref: 1, payload: { token: other.token } });
    const refused = await Promise.race([
      closeOf(client),
      client.next((frame) => frame.ref === 1, 'an answer'),
    ]);
    expect('code' in refused ? refused.code : refused.type).not.toBe('authenticated');
    await client.close();
  });
});

async function newSession(): Promise<{ token: string; refresh_token: string }> {
  return dataOf(await rest.login({ email: account.email, password: account.password }));
}

describe('a socket without authentication', () => {
  test('is closed with 4003 when none comes', async () => {
    const client = await connect({ wsUrl: server.wsUrl, token: null });
    expect((await closeOf(client)).code).toBe(4003);
  });

  test('is closed with 4003 at its first command', async () => {
    for (const encoding of ENCODINGS) {
      const client = await connect({ wsUrl: server.wsUrl, token: null, encoding });
      client.sendFrame({ type: 'ping' });
      expect((await closeOf(client)).code).toBe(4003);
    }
  });
});

describe('the end of a session', () => {
  test('logging out closes its sockets with 4010 and leaves those of other sessions', async () => {
    const grant = await newSession();
    const ending = await connect({ wsUrl: server.wsUrl, token: grant.token });
    const staying = await connect({ wsUrl: server.wsUrl, token: account.token, encoding: 'msgpack' });
    expect((await rest.logout(grant.token)).status).toBe(200);
    expect((await closeOf(ending)).code).toBe(4010);
    expect((await staying.request('ping')).type).toBe('pong');
    expect((await connectRefused({ wsUrl: server.wsUrl, token: grant.token })).status).toBe(401);
    await staying.close();
  });

  test('ended from another device closes its sockets with 4010', async () => {
    const grant = await newSession();
    const client = await connect({ wsUrl: server.wsUrl, token: grant.token, via: 'subprotocol' });
    const sid = String(claimsOf(grant.token).sid);
    expect((await rest.delete(`/auth/sessions/${sid}`, account.token)).status).toBe(200);
    expect((await closeOf(client)).code).toBe(4010);
  });

  test('reuse of a refresh token closes its sockets with 4010', async () => {
    const grant = await newSession();
    const client = await connect({ wsUrl: server.wsUrl, token: grant.token });
    dataOf(await rest.refresh(grant.refresh_token));
    expect((await rest.refresh(grant.refresh_token)).status).toBe(401);
    expect((await closeOf(client)).code).toBe(4010);
  });
});

describe('an access token that expires on an open socket', () => {
  test('closes it with 4004, unless it was renewed', { timeout: 60_000 }, async () => {
    const shortLived = await startServerWithDatabase({ JWT_EXPIRATION: '2s' });
    const client = restClient(shortLived.url);
    const person = await newAccount(client);
    const [expiring, renewed] = await Promise.all(
      ENCODINGS.map((encoding) => connect({ wsUrl: shortLived.wsUrl, token: person.token, encoding })),
    );
    if (expiring === undefined || renewed === undefined) throw new Error('two connections');
    const longer = resigned(person.token, { exp: Math.floor(Date.now() / 1_000) + 3_600 });
    await renewed.ask('authenticate', { token: longer });
    expect((await closeOf(expiring)).code).toBe(4004);
    expect((await renewed.request('ping')).type).toBe('pong');
    await renewed.close();
    await shortLived.stop();
  });
});

describe('origins', () => {
  const withOrigin = (origin: string) => ({ wsUrl: server.wsUrl, token: account.token, headers: { origin } });

  test('a foreign one is refused with 403 before the upgrade', async () => {
    for (const origin of ['https://evil.example', 'null', 'https://app.example.org.evil.example']) {
      expect((await connectRefused(withOrigin(origin))).status).toBe(403);
    }
  });

  test('the server’s own and an allowed one are accepted', async () => {
    for (const origin of [server.url, 'https://app.example.org']) {
      const client = await connect(withOrigin(origin));
      await client.close();
    }
  });
});

test('a connection over the limit of a user is refused with 429 before the upgrade', async () => {
  const limited = await startServerWithDatabase({ MAX_CONNECTIONS_PER_USER: '2' });
  const person = await newAccount(restClient(limited.url));
  const options = { wsUrl: limited.wsUrl, token: person.token };
  const clients = [await connect(options), await connect(options)];
  expect((await connectRefused(options)).status).toBe(429);
  const room = await newRoom(restClient(limited.url), person);
  await clients[0]?.ask<Ack>('send_message', { content: 'unaffected' }, room.id);
  await limited.stop();
});
