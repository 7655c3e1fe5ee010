import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ErrorPayload } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  type Rest,
  type RestAnswer,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { claimsOf, resigned } from '../helpers/tokens.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let owner: Account;
let thief: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  [owner, thief] = [await newAccount(rest, 'owner'), await newAccount(rest, 'thief')];
});

const told = ({ status, body, headers }: RestAnswer<unknown>): unknown => ({
  status,
  body: { ...body, request_id: 'any' },
  names: [...headers.keys()].filter((name) => name !== 'date').sort(),
});
const login = ({ email, password }: Account) => rest.login({ email, password });

describe('a stolen token', () => {
  test('is worth nothing once its owner has logged out, ended the session or changed the password', async () => {
    const account = await newAccount(rest);
    const stolen = dataOf(await login(account));
    const kept = dataOf(await login(account));
    const change = { current_password: account.password, new_password: 'quite another password' };
    expect((await rest.post('/auth/password', kept.token, change)).status).toBe(200);
    for (const token of [stolen.token, account.token])
      expect((await rest.get('/users/me', token)).status).toBe(401);
    expect((await rest.refresh(stolen.refresh_token)).status).toBe(401);
    expect((await rest.get('/users/me', kept.token)).status).toBe(200);
    await rest.logout(kept.token);
    expect((await rest.get('/users/me', kept.token)).status).toBe(401);
  });

  test('renewed by a thief ends for both as soon as the owner renews it', async () => {
    const account = await newAccount(rest);
    const theirs = dataOf(await rest.refresh(account.refreshToken));
    const owners = await rest.refresh(account.refreshToken);
    expect([owners.status, owners.body.code]).toEqual([401, 'token_reused']);
    expect((await rest.get('/users/me', theirs.token)).status).toBe(401);
    expect((await rest.refresh(theirs.refresh_token)).status).toBe(401);
  });

  test('can’t be made to say something else', async () => {
    const { sid } = claimsOf(owner.token);
    for (const changes of [{ user_id: thief.id }, { sid }, { username: 'admin' }]) {
      const forged = resigned(thief.token, changes, { secret: 'a guessed secret, long enough for HS256' });
      expect((await rest.get('/users/me', forged)).status).toBe(401);
    }
  });
});

describe('sessions', () => {
  test('every log-in makes a new one, whatever the client brings along', async () => {
    const fixed = randomUUID();
    const answer = await rest.call<{ token: string }>('POST', '/auth/login', {
      body: { email: owner.email, password: owner.password },
      headers: {
        cookie: `sid=${fixed}; session=${fixed}`,
        authorization: `Bearer ${thief.token}`,
        'x-session-id': fixed,
      },
    });
    const { sid, user_id } = claimsOf(dataOf(answer).token);
    expect(user_id).toBe(owner.id);
    expect([fixed, claimsOf(thief.token).sid, claimsOf(owner.token).sid]).not.toContain(sid);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  test.each(['sid', 'session_id', 'user_id'])('a log-in that names its %s is refused', async (member) => {
    const answer = await rest.login({ email: owner.email, password: owner.password, [member]: randomUUID() });
    expect([answer.status, answer.body.field]).toEqual([400, member]);
  });
});

describe('an answer tells nobody what is there', () => {
  test('logging in: an unknown email, a wrong password and a text that is no email', async () => {
    const wrong = await rest.login({ email: owner.email, password: 'not the password' });
    const unknown = await rest.login({ email: 'nobody@example.org', password: 'not the password' });
    const noEmail = await rest.login({ email: 'nobody', password: 'not the password' });
    expect(told(unknown)).toEqual(told(wrong));
    expect(told(noEmail)).toEqual(told(wrong));
  });

  test('adding somebody, a direct room, a user: like one that never was', async () => {
    const nobody = randomUUID();
    expect((await rest.createRoom(owner.token, { type: 'direct', member_ids: [nobody] })).status).toBe(404);
    expect((await rest.get(`/users/${nobody}`, owner.token)).status).toBe(404);
  });

  test('no answer to others, search or list names an email', async () => {
    const room = dataOf(
      await rest.createRoom(owner.token, { name: freshName('room'), type: 'public', member_ids: [thief.id] }),
    );
    const answers = [
      await rest.get(`/users/${owner.id}`, thief.token),
      await rest.get('/users/search', thief.token, { q: owner.username.slice(0, 5) }),
      await rest.members(thief.token, room.id),
      await rest.getRoom(thief.token, room.id),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(JSON.stringify(answer.body)).not.toContain('@example.org');
    }
  });
});

describe('members that are the server’s to set are refused', () => {
  const EXTRA = [
    'id',
    'role',
    'created_by',
    'created_at',
    'head_seq',
    'user_id',
    'seq_no',
    'rev',
    'pinned',
    'password_hash',
  ];

  test.each(EXTRA)('%s', async (name) => {
    const room = dataOf(await rest.createRoom(owner.token, { name: freshName('room'), type: 'public' }));
    const more = { [name]: randomUUID() };
    const email = `${freshName()}@example.org`;
    const attempts = [
      rest.register({ username: freshName(), email, password: 'a password', ...more }),
      rest.patch('/users/me', owner.token, { username: owner.username, ...more }),
      rest.createRoom(owner.token, { name: 'a room', type: 'public', ...more }),
      rest.patch(`/rooms/${room.id}`, owner.token, { name: 'a room', ...more }),
      ...(name === 'id' ? [] : [rest.send(owner.token, room.id, { content: 'a', ...more })]),
    ];
    for (const answer of await Promise.all(attempts)) {
      expect([answer.status, answer.body.code, answer.body.field]).toEqual([400, 'bad_request', name]);
    }
  });
});

describe('over WebSocket, a private room', () => {
  let hidden: string;
  let message: string;
  let client: WsClient;

  beforeAll(async () => {
    hidden = dataOf(await rest.createRoom(owner.token, { name: freshName('hidden'), type: 'private' })).id;
    message = dataOf(await rest.send(owner.token, hidden, { content: 'a secret' })).id;
    client = await connect({ wsUrl: server.wsUrl, token: thief.token });
    return () => client.close();
  });

  const inRoom: [string, object][] = [
    ['join_room', {}],
    ['join_room', { since: 0 }],
    ['sync', { since: 0 }],
    ['send_message', { content: 'a' }],
    ['mark_read', { seq_no: 1 }],
    ['user_typing', {}],
    ['user_stopped_typing', {}],
  ];
  test.each(inRoom)('%s %j is answered as for a room that is not there', async (type, payload) => {
    const answer = await client.request<ErrorPayload>(type, payload, hidden);
    const nothing = await client.request<ErrorPayload>(type, payload, randomUUID());
    expect(answer.payload).toEqual(nothing.payload);
    expect([answer.type, answer.payload.code]).toEqual(['error', 'not_found']);
  });

  const onMessage: [string, object][] = [
    ['edit_message', { content: 'a' }],
    ['delete_message', {}],
    ['add_reaction', { emoji: '👍' }],
    ['remove_reaction', { emoji: '👍' }],
  ];
  test.each(onMessage)('%s %j is answered as for a message that is not there', async (type, more) => {
    const answer = await client.request<ErrorPayload>(type, { message_id: message, ...more });
    const nothing = await client.request<ErrorPayload>(type, { message_id: randomUUID(), ...more });
    expect(answer.payload).toEqual(nothing.payload);
    expect([answer.type, answer.payload.code]).toEqual(['error', 'not_found']);
    expect(dataOf(await rest.message(owner.token, message)).content).toBe('a secret');
  });

  test('resume names it as one that is not there, and nothing of it ever comes', async () => {
    const [other, nothing] = [randomUUID(), randomUUID()];
    const rooms = [hidden, nothing].map((room_id) => ({ room_id, since: 0 }));
    const frames = await client.requestAll('resume', { rooms }, ({ payload }) => payload.last === true);
    const outcomes = frames.flatMap(({ payload }) => payload.rooms as { room_id: string; code: string }[]);
    expect(new Set(outcomes.map(({ room_id: _, ...rest }) => JSON.stringify(rest))).size).toBe(1);
    dataOf(await rest.send(owner.token, hidden, { content: 'another secret' }));
    expect((await client.request('sync', { since: 0 }, other)).type).toBe('error');
    expect(client.streams.has(hidden)).toBe(false);
  });
});

test('answers carry the headers that keep pages from using them', async () => {
  const { headers } = await rest.get('/users/me', owner.token);
  expect(Object.fromEntries(headers)).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': expect.stringContaining("default-src 'none'"),
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  });
  expect(headers.get('strict-transport-security')).toBeNull();
  expect(headers.get('access-control-allow-origin')).toBeNull();
});
