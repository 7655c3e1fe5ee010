import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as NodeSocket } from 'ws';
import {
  type Client,
  type ClientOptions,
  createApi,
  createClient,
  createSession,
  MemoryStore,
} from '../../client/src/index.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js';
import { resigned } from '../helpers/tokens.js';
import { clientOf, type Encoding } from './fixture.js';

let database: TestDatabase;
let server: Server;
let proxy: TcpProxy;
let ann: Account;
const rest = (): Rest => restClient(server.url);
const start = (): Promise<Server> => startServer({ env: { DATABASE_URL: database.url } });

beforeAll(async () => {
  database = await createTestDatabase();
  server = await start();
  ann = await newAccount(rest(), 'ann');
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});
beforeEach(async () => {
  proxy = await startTcpProxy(() => server.port);
});
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy.close();
});

type Options = Partial<ClientOptions> & { readonly encoding?: Encoding };

/** A client behind the proxy, with what it says of its connection. */
function watched(account: Pick<Account, 'token'>, options: Options = {}) {
  const client = clientOf(proxy.url, account, options);
  clients.push(client);
  const said: string[] = [];
  client.on('connected', () => void said.push('connected'));
  client.on('disconnected', ({ code }) => void said.push(`disconnected ${code}`));
  client.on('signedOut', ({ code }) => void said.push(`signedOut ${code}`));
  return { client, said };
}

/** A WebSocket class that counts. */
function counting() {
  const seen = { opened: 0, frames: 0 };
  class Counting extends NodeSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      seen.opened += 1;
      this.on('message', () => {
        seen.frames += 1;
      });
    }
  }
  return { WebSocket: Counting, seen };
}

test('a connection that goes silent is noticed, and replaced', async () => {
  const { client, said } = watched(ann);
  await client.connect();
  const { id } = await newRoom(rest(), ann);
  await client.room(id).join();
  proxy.stall();
  await rest().send(ann.token, id, { content: 'said meanwhile' });
  await until(() => client.room(id).messages().length === 1, 'what was said meanwhile');
  expect(said).toEqual(['connected', 'disconnected 1006', 'connected']);
});

test('a quiet connection is kept: pings are answered', async () => {
  const { WebSocket, seen } = counting();
  const { client, said } = watched(ann, { WebSocket, heartbeatMs: 20, timeoutMs: 5_000 });
  await client.connect();
  await until(() => seen.frames > 10, 'ten frames, all but one of them pongs');
  expect([said, seen.opened]).toEqual([['connected'], 1]);
});

test('a restarting server says when to come back, and all is resumed', async () => {
  const { client, said } = watched(ann);
  await client.connect();
  const { id } = await newRoom(rest(), ann);
  await client.room(id).join();
  let waitMs = -1;
  client.on('disconnected', ({ retryInMs }) => {
    if (waitMs === -1) waitMs = retryInMs;
  });
  await server.stop();
  await until(() => said.includes('disconnected 1012'), 'the close');
  expect(waitMs).toBeGreaterThanOrEqual(0);
  expect(waitMs).toBeLessThan(5_000);
  const outgoing = client.room(id).send('while it was away');
  expect(outgoing.state).toBe('queued');
  server = await start();
  await outgoing.sent;
  await until(() => client.room(id).messages().length === 1, 'the message in the room');
});

test('a session that ends signs out, and nothing is tried any more', async () => {
  const account = await newAccount(rest(), 'leaver');
  const { WebSocket, seen } = counting();
  const { client, said } = watched(account, { WebSocket });
  await client.connect();
  await rest().logout(account.token);
  await until(() => said.includes('signedOut signed_out'), 'signedOut');
  // Another client loses its connection and comes back meanwhile: time enough for this one to try.
  const other = watched(ann);
  await other.client.connect();
  for (let times = 2; times < 5; times++) {
    proxy.cut();
    await until(
      () => other.said.filter((what) => what === 'connected').length === times,
      'the other one back',
    );
  }
  expect([said, seen.opened]).toEqual([['connected', 'signedOut signed_out'], 1]);
  await expect(client.room(ann.id).join({ signal: AbortSignal.timeout(10) })).rejects.toThrow();
});

test('a token that is refused and not replaced signs out', async () => {
  const { client, said } = watched({ token: resigned(ann.token, { exp: 1_000_000_000 }) });
  await expect(client.connect()).rejects.toMatchObject({ code: 'signed_out' });
  expect(said).toEqual(['disconnected 4004', 'signedOut signed_out']);
});

test('a provider without a good token is asked a few times, not for ever', async () => {
  let asked = 0;
  const token = async () => `bad.token.${++asked}`;
  const { client } = watched(ann, { token });
  await expect(client.connect()).rejects.toMatchObject({ code: 'signed_out' });
  expect(asked).toBeLessThanOrEqual(3);
});

test('a token that expired meanwhile is refreshed on the way back', async () => {
  const account = await newAccount(rest(), 'sleeper');
  const session = createSession({ url: server.url });
  await session.login({ email: account.email, password: account.password });
  const expired = resigned(account.token, { exp: 1_000_000_000 });
  let gone = false;
  const token = async (refused?: string) => (gone && refused !== expired ? expired : session.token());
  const { client, said } = watched(account, { token });
  await client.connect();
  gone = true;
  proxy.cut();
  await until(() => said.at(-1) === 'connected' && said.length > 2, 'a connection with a fresh token');
  expect(said).toEqual(['connected', 'disconnected 1006', 'disconnected 4004', 'connected']);
});

test('a token that is about to expire is renewed on the open connection', async () => {
  const short = resigned(ann.token, { exp: Math.floor(Date.now() / 1000) + 4 });
  const provided: (string | undefined)[] = [];
  const token = async (refused?: string) => {
    provided.push(refused);
    return refused === undefined ? short : ann.token;
  };
  const { client, said } = watched(ann, { token });
  await client.connect();
  await until(
    () => Date.now() > (Number(JSON.parse(atob(must(short.split('.')[1]))).exp) + 2) * 1000,
    'its end',
  );
  expect([said, provided]).toEqual([['connected'], [undefined, short]]);
});

test('a provider that can’t reach anybody is asked again', async () => {
  let asked = 0;
  const token = async () => {
    asked += 1;
    if (asked < 4) throw new TypeError('no network');
    return ann.token;
  };
  const { client } = watched(ann, { token });
  const errors: unknown[] = [];
  client.on('error', (error) => void errors.push(error));
  await client.connect();
  expect([asked, errors.map(String)]).toEqual([4, Array(3).fill('TypeError: no network')]);
});

test('unsent messages survive a reload and a kill -9 of the server, each exists once, in order', async () => {
  const { id } = await newRoom(rest(), ann);
  const store = new MemoryStore();
  const { client: before } = watched(ann, { store });
  await before.connect();
  const sent = Array.from({ length: 5 }, (_, index) => before.room(id).send(`${index}`));
  await must(sent[1]).sent;
  server.kill('SIGKILL');
  await server.exit;
  for (let index = 5; index < 10; index++) sent.push(before.room(id).send(`${index}`));
  await until(async () => (await store.load()).length >= 5, 'the store');
  before.close(); // the page is gone
  server = await start();
  const { client: after } = watched(ann, { store, encoding: 'msgpack' });
  await after.connect();
  await until(async () => (await store.load()).length === 0, 'an empty outbox');
  const history = await wholeHistory(rest(), ann.token, id);
  expect(history.map((message) => [message.id, message.content])).toEqual(
    sent.map((outgoing, index) => [outgoing.id, `${index}`]),
  );
});

test('many rooms are resumed in several frames', { timeout: 60_000 }, async () => {
  const { client } = watched(ann, { timeoutMs: 20_000, heartbeatMs: 20_000 });
  const api = createApi(client.http);
  const ids: string[] = [];
  while (ids.length < 510) {
    const some = Array.from({ length: 30 }, () =>
      api.createRoom({ type: 'public', name: `room ${ids.length}` }),
    );
    ids.push(...(await Promise.all(some)).map((room) => room.id));
  }
  const joins = ids.map((id) => client.room(id).join());
  await client.connect();
  await Promise.all(joins);
  const last = must(ids.at(-1));
  proxy.cut();
  dataOf(await rest().send(ann.token, last, { content: 'hello' }));
  await until(() => client.room(last).messages().length === 1, 'the message in the last room', 30_000);
});

test('a browser that comes back online reconnects at once', async () => {
  const listeners = new Map<string, () => void>();
  vi.stubGlobal('addEventListener', (type: string, run: () => void) => void listeners.set(type, run));
  vi.stubGlobal('removeEventListener', (type: string) => void listeners.delete(type));
  const { client, said } = watched(ann, { backoff: { baseMs: 3_600_000, maxMs: 3_600_000 } });
  await client.connect();
  proxy.cut();
  await until(() => said.length === 2, 'the loss');
  must(listeners.get('online'))();
  await until(() => said.length === 3, 'the connection');
  proxy.stall();
  must(listeners.get('offline'))(); // it asks at once whether the connection still is one
  await until(() => said.length === 4, 'the loss');
  client.close();
  expect(listeners.size).toBe(0);
  vi.unstubAllGlobals();
});

test('without a WebSocket class it says what to give', () => {
  vi.stubGlobal('WebSocket', undefined);
  expect(() => createClient({ url: proxy.url, token: async () => '' })).toThrow(/package ws/);
  vi.unstubAllGlobals();
});
