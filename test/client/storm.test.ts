import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, NotFoundError, type Outgoing, ParleyError } from '../../client/src/index.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must, until, within } from '../helpers/deadline.js';
import { type DoublingProxy, startDoublingProxy } from '../helpers/doubling-proxy.js';
import { historyFaults } from '../helpers/history-check.js';
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
import { clientOf, type Encoding } from './fixture.js';
import { gather, type Heard, streamFaults, viewFaults } from './view-check.js';

const CLIENTS: readonly Encoding[] = ['json', 'msgpack', 'json'];
const DEEDS = ['send', 'edit', 'delete', 'react', 'unreact', 'leave and join'];
const EMOJI = ['👍', '🎉'];
const RUNS_MAX = 40;
const RUNS_MIN = 4; // on a machine however slow
const TIME_LIMIT_MS = 25_000;
const REST_MS = 20_000; // until everybody has come to rest after a storm

let database: TestDatabase;
let server: Server;
let doubler: DoublingProxy; // between the bad network and the server
let proxy: TcpProxy;
let accounts: Account[];

const start = (): Promise<Server> => startServer({ env: { DATABASE_URL: database.url, SHARDS: '2' } });
const rest = (): Rest => restClient(server.url);

beforeAll(async () => {
  database = await createTestDatabase();
  server = await start();
  doubler = await startDoublingProxy(() => server.port);
  proxy = await startTcpProxy(() => doubler.port);
  accounts = await Promise.all(CLIENTS.map(() => newAccount(rest(), 'storm')));
});
afterAll(async () => {
  await proxy.close();
  await doubler.close();
  await server.stop();
  await database.drop();
});

/** What people do, and what the network does to them; `pause` lets some time pass, in milliseconds. */
const deed = fc.record({
  who: fc.nat(CLIENTS.length - 1),
  what: fc.constantFrom('send', 'send', 'react', ...DEEDS),
  target: fc.nat(20),
});
const weather = fc.record({
  what: fc.constantFrom('cut', 'cut', 'stall', 'delay', 'double', 'clear', 'refuse', 'kill'),
  ms: fc.nat(150),
});
const storm = fc.array(fc.record({ deeds: fc.array(deed, { minLength: 1, maxLength: 8 }), weather }), {
  minLength: 2,
  maxLength: 6,
});
type Deed = { who: number; what: string; target: number };
type Weather = { what: string; ms: number };

async function blow({ what, ms }: Weather): Promise<void> {
  if (what === 'cut') proxy.cut();
  if (what === 'stall') proxy.stall();
  if (what === 'delay') proxy.delay(ms);
  if (what === 'double') doubler.double(true);
  if (what === 'clear') {
    doubler.double(false);
    calm();
  }
  if (what === 'refuse') {
    proxy.refuse(true);
    proxy.cut();
  }
  if (what === 'kill') {
    server.kill('SIGKILL');
    await server.exit;
    server = await start();
  }
  await new Promise((resolve) => setTimeout(resolve, ms)); // the storm's own pace
}

/** Lets everything through; frames that come twice may go on doing so. */
function calm(): void {
  proxy.delay(0);
  proxy.refuse(false);
}

interface Person {
  readonly client: Client;
  readonly sent: Outgoing[];
  readonly heard: Heard;
  readonly changes: Promise<void>[];
}

function act(people: readonly Person[], roomId: string, { who, what, target }: Deed): void {
  const { client, sent, changes } = must(people[who]);
  const others = must(people[(who + target) % people.length]).sent;
  const room = client.room(roomId);
  const change = (of: readonly Outgoing[], run: (id: string) => Promise<void>): void => {
    const message = of[target % Math.max(1, of.length)];
    if (message === undefined) return;
    const tolerant = message.sent
      .then(({ id }) => run(id))
      .catch((error: unknown) => {
        if (!(error instanceof NotFoundError)) throw error; // a tombstone takes no edit
      });
    tolerant.catch(() => undefined);
    changes.push(tolerant);
  };
  if (what === 'send') sent.push(room.send(`message ${sent.length}`));
  if (what === 'edit') change(sent, (id) => room.edit(id, `edit ${target}`));
  if (what === 'delete') change(sent, (id) => room.delete(id));
  if (what === 'react') change(others, (id) => room.react(id, must(EMOJI[target % EMOJI.length])));
  if (what === 'unreact') change(others, (id) => room.unreact(id, must(EMOJI[target % EMOJI.length])));
  if (what === 'leave and join') {
    room.leave();
    const joining = room.join().catch((error: unknown) => {
      if (!(error instanceof ParleyError && error.code === 'closed')) throw error; // left again before it had joined
    });
    changes.push(joining);
  }
}

async function faultsAfter(
  storms: readonly { deeds: readonly Deed[]; weather: Weather }[],
): Promise<string[]> {
  const [owner, ...others] = accounts;
  const { id: roomId } = await newRoom(rest(), must(owner), others);
  const people = accounts.map((account, index): Person => {
    const client = clientOf(proxy.url, account, { encoding: must(CLIENTS[index]) });
    return { client, sent: [], heard: gather(client, client.room(roomId)), changes: [] };
  });
  try {
    for (const { client } of people) {
      await client.connect();
      await client.room(roomId).join({ from: { rev: 0, seq: 0 } });
    }
    for (const { deeds, weather: wind } of storms) {
      for (const each of deeds) act(people, roomId, each);
      await blow(wind);
    }
    calm();
    const settled = people.flatMap(({ sent, changes }) => [
      ...sent.map((outgoing) => outgoing.sent),
      ...changes,
    ]);
    await within(Promise.all<unknown>(settled), REST_MS, 'an end of all that was sent');
    return await judge(roomId, people);
  } finally {
    for (const { client } of people) client.close();
    doubler.double(false);
    calm();
  }
}

async function judge(roomId: string, people: readonly Person[]): Promise<string[]> {
  const { token } = must(accounts[0]);
  const head = dataOf(await rest().getRoom(token, roomId));
  const caughtUp = ({ client }: Person): boolean => client.room(roomId).position()?.rev === head.head_rev;
  await until(() => people.every(caughtUp), `everybody at rev ${head.head_rev}`, REST_MS);
  const history = await wholeHistory(rest(), token, roomId);
  const faults = historyFaults(history, head);
  const sentByAll = people.reduce((sum, { sent }) => sum + sent.length, 0);
  if (history.length !== sentByAll) faults.push(`${sentByAll} sent, ${history.length} in history`);
  for (const [index, { client, sent, heard }] of people.entries()) {
    const mine = history.filter((message) => message.user_id === must(accounts[index]).id);
    const inOrder = mine.map(({ id }) => id).join() === sent.map(({ id }) => id).join();
    if (!inOrder) faults.push(`client ${index}: its messages are not as it sent them`);
    if (client.outbox().length > 0) faults.push(`client ${index}: its outbox is not empty`);
    const room = client.room(roomId);
    if (room.pending().length > 0) faults.push(`client ${index}: something is still shown as on its way`);
    const own = [...viewFaults(room, history), ...streamFaults(heard, history)];
    faults.push(...own.map((text) => `client ${index}: ${text}`));
  }
  return faults;
}

test('frames that come twice, in both directions, are taken once, over lost connections and a killed server too', {
  timeout: 4 * REST_MS,
}, async () => {
  const before = doubler.doubled();
  const all = CLIENTS.flatMap((_encoding, who) => DEEDS.map((what, target): Deed => ({ who, what, target })));
  const storms = ['double', 'delay', 'cut', 'kill'].map((what) => ({
    deeds: all,
    weather: { what, ms: 50 },
  }));
  expect(await faultsAfter(storms)).toEqual([]);
  expect(doubler.doubled() - before).toBeGreaterThan(all.length);
});

test('after any storm each client sees the history, and each message sent exists once and in its sender’s order', {
  timeout: 10 * TIME_LIMIT_MS,
}, async () => {
  const end = Date.now() + TIME_LIMIT_MS;
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(storm, async (storms) => {
      if (runs >= RUNS_MIN && Date.now() > end) return; // interrupted, a storm would go on beside what comes after it
      runs += 1;
      expect(await faultsAfter(storms)).toEqual([]);
    }),
    { numRuns: RUNS_MAX, endOnFailure: true },
  );
});
