import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import type { Message, Room } from '../../src/protocol/model.js';
import { createTestDatabase } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';
import type { Ack, ErrorPayload } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  type RestAnswer,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { connect, Refused } from '../helpers/ws-client.js';

/** Two servers on one database: what one lets through, the other must know. */
let servers: [Server, Server];
let rests: [Rest, Rest];
let start: () => Promise<Server>;
let admin: Account;
let moderator: Account;
let member: Account;

const LONG_S = 3_600; // nobody gets a second turn within a test

beforeAll(async () => {
  const database = await createTestDatabase();
  start = () => startServer({ env: { DATABASE_URL: database.url, SHARDS: '2' } });
  servers = [await start(), await start()];
  rests = [restClient(servers[0].url), restClient(servers[1].url)];
  const names = ['admin', 'moderator', 'member'];
  const accounts = await Promise.all(names.map((name) => newAccount(rests[0], name)));
  [admin, moderator, member] = accounts as [Account, Account, Account];
});

async function slowRoom(slow_mode_s: number): Promise<string> {
  const { id } = await newRoom(rests[0], admin, [moderator, member]);
  dataOf(await rests[0].patchMember(admin.token, id, moderator.id, { role: 'moderator' }));
  expect(dataOf(await patch(id, slow_mode_s))).toMatchObject({ slow_mode_s });
  return id;
}

const patch = (roomId: string, slow_mode_s: number) =>
  rests[0].patch(`/rooms/${roomId}`, admin.token, { slow_mode_s });
const send = (rest: Rest, roomId: string, body: object = {}, by = member) =>
  rest.send(by.token, roomId, { content: 'text', ...body });
const codeOf = (answer: RestAnswer<unknown>) => answer.body.code ?? answer.status;

test('a member who sends too soon is told how long to wait, over REST and WebSocket', async () => {
  const roomId = await slowRoom(LONG_S);
  expect((await send(rests[0], roomId)).status).toBe(201);
  const refused = await send(rests[0], roomId);
  const problem = refused.body as RestAnswer<Message>['body'] & { retry_after_ms: number };
  expect([refused.status, problem.code, problem.retry]).toEqual([429, 'slow_mode', true]);
  expect(problem.retry_after_ms).toBeGreaterThan((LONG_S - 60) * 1_000);
  expect(problem.retry_after_ms).toBeLessThanOrEqual(LONG_S * 1_000);
  expect(Number(refused.headers.get('retry-after'))).toBe(Math.ceil(problem.retry_after_ms / 1_000));
  for (const encoding of ['json', 'msgpack'] as const) {
    const socket = await connect({ wsUrl: servers[0].wsUrl, token: member.token, encoding });
    const { type, payload } = await socket.request<ErrorPayload>('send_message', { content: 'x' }, roomId);
    expect([type, payload.code, payload.retry]).toEqual(['error', 'slow_mode', true]);
    expect(payload.retry_after_ms).toBeGreaterThan((LONG_S - 60) * 1_000);
    await socket.close();
  }
});

test('moderators and admins are exempt', async () => {
  const roomId = await slowRoom(LONG_S);
  for (let n = 0; n < 3; n++) {
    expect((await send(rests[0], roomId, {}, moderator)).status).toBe(201);
    expect((await send(rests[1], roomId, {}, admin)).status).toBe(201);
  }
});

test('of many sends at once on two servers, over REST and WebSocket, one goes through', async () => {
  const roomId = await slowRoom(LONG_S);
  const sockets = await Promise.all(servers.map(({ wsUrl }) => connect({ wsUrl, token: member.token })));
  const attempts = Array.from({ length: 40 }, async (_, i) => {
    if (i % 2 === 0) return codeOf(await send(must(rests[(i >> 1) % 2]), roomId));
    const socket = must(sockets[(i >> 1) % 2]);
    return socket.ask<Ack>('send_message', { content: 'x' }, roomId).then(
      () => 201,
      (error: unknown) => (error instanceof Refused ? error.problem.code : String(error)),
    );
  });
  const outcomes = await Promise.all(attempts);
  expect(outcomes.filter((outcome) => outcome === 201)).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'slow_mode')).toHaveLength(39);
  expect(dataOf(await rests[0].messages(admin.token, roomId))).toHaveLength(1);
  await Promise.all(sockets.map((socket) => socket.close()));
});

test('the next message goes through once the time is over, on either server, and not before', async () => {
  const roomId = await slowRoom(1);
  const times: number[] = [];
  for (let n = 0; n < 3; n++) {
    const answer = await until(async () => {
      const found = await send(must(rests[n % 2]), roomId);
      return found.status === 201 && found;
    }, 'the next turn');
    times.push(Date.parse(dataOf(answer).created_at));
  }
  const gaps = times.slice(1).map((time, i) => time - must(times[i]));
  for (const gap of gaps) expect(gap).toBeGreaterThan(900); // the clock of the claim is the database's, not the row's
});

test('turning it on holds at once, also for members who are writing', async () => {
  const roomId = await slowRoom(0);
  const four = async () => {
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(codeOf(await send(rests[0], roomId)));
    return answers;
  };
  expect(await four()).toEqual([201, 201, 201, 201]);
  dataOf(await patch(roomId, LONG_S));
  expect(await four()).toEqual([201, 'slow_mode', 'slow_mode', 'slow_mode']);
});

test('turning it off lets everybody through at once, and the change is told to the room', async () => {
  const roomId = await slowRoom(LONG_S);
  const socket = await connect({ wsUrl: servers[0].wsUrl, token: member.token });
  await socket.ask('join_room', {}, roomId);
  expect([codeOf(await send(rests[0], roomId)), codeOf(await send(rests[0], roomId))]).toEqual([
    201,
    'slow_mode',
  ]);
  dataOf(await patch(roomId, 0));
  // That it was turned on may be told as well, by the watch over the database, as the socket had not joined yet.
  const off = ({ type, payload }: { type: string; payload?: unknown }) =>
    type === 'room_updated' && (payload as { room: Room }).room.slow_mode_s === 0;
  const told = await socket.next(off, 'room_updated');
  expect(told.payload).toMatchObject({ room: { id: roomId, slow_mode_s: 0 } });
  expect([codeOf(await send(rests[0], roomId)), codeOf(await send(rests[0], roomId))]).toEqual([201, 201]);
  await socket.close();
});

test('only admins set it, within its bounds, and not in direct rooms', async () => {
  const roomId = await slowRoom(0);
  for (const by of [moderator, member]) {
    const answer = await rests[0].patch(`/rooms/${roomId}`, by.token, { slow_mode_s: 5 });
    expect(codeOf(answer)).toBe('forbidden');
  }
  for (const bad of [-1, 1.5, 21_601, '5', null]) {
    const answer = await rests[0].patch(`/rooms/${roomId}`, admin.token, { slow_mode_s: bad });
    expect(codeOf(answer)).toBe('bad_request');
  }
  const direct = dataOf(await rests[0].createRoom(admin.token, { type: 'direct', member_ids: [member.id] }));
  expect(codeOf(await patch(direct.id, 5))).toBe('conflict');
});

test('a repeat is answered with its first result, on any server, and takes no turn', async () => {
  const roomId = await slowRoom(LONG_S);
  const id = randomUUID();
  const first = dataOf(await send(rests[0], roomId, { id }));
  for (const rest of [...rests, ...rests]) {
    const again = await send(rest, roomId, { id });
    expect([again.status, dataOf(again).seq_no, dataOf(again).created_at]).toEqual([
      200,
      1,
      first.created_at,
    ]);
  }
  expect(codeOf(await send(rests[1], roomId, { id, content: 'other' }))).toBe('id_conflict');
  await patch(roomId, 0);
  const free = randomUUID();
  dataOf(await send(rests[0], roomId, { id: free }));
  const other = await slowRoom(LONG_S);
  expect(codeOf(await send(rests[1], other, { id: free }))).toBe('id_conflict');
  expect(codeOf(await send(rests[1], other))).toBe(201);
});

test('a refused send takes no turn', async () => {
  const roomId = await slowRoom(LONG_S);
  expect(codeOf(await send(rests[0], roomId, { reply_to: randomUUID() }))).toBe('not_found');
  expect(codeOf(await send(rests[0], roomId, { id: randomUUID(), thread_root: randomUUID() }))).toBe(
    'not_found',
  );
  expect(codeOf(await send(rests[0], roomId, { content: '' }))).toBe('bad_request');
  expect([codeOf(await send(rests[1], roomId)), codeOf(await send(rests[0], roomId))]).toEqual([
    201,
    'slow_mode',
  ]);
});

test('leaving and joining gives no new turn, nor does a restart of the server', async () => {
  const roomId = await slowRoom(LONG_S);
  expect(codeOf(await send(rests[0], roomId))).toBe(201);
  dataOf(await rests[0].leave(member.token, roomId));
  dataOf(await rests[0].join(member.token, roomId));
  expect(codeOf(await send(rests[0], roomId))).toBe('slow_mode');
  const third = await start();
  expect(codeOf(await send(restClient(third.url), roomId))).toBe('slow_mode');
  await third.stop();
});
