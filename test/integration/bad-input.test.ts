import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/http/routes.js';
import { NoBody } from '../../src/protocol/requests.js';
import { must } from '../helpers/deadline.js';
import { type RawAnswer, rawExchange, rawRequest } from '../helpers/raw-http.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { resigned, unsigned } from '../helpers/tokens.js';

const HOUR_S = 3_600;
const BODY_CAP = 128 * 1_024; // of a message, src/http/routes.ts

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

const send = (body: string | Buffer, headers: Record<string, string> = {}): Promise<RawAnswer | null> =>
  rawRequest(server.port, {
    method: 'POST',
    path: `/rooms/${roomId}/messages`,
    token: account.token,
    body,
    headers,
  });

const outcome = (answer: RawAnswer | null): unknown => answer && [answer.status, answer.code];

describe('a token that proves nothing gets 401', () => {
  test.each([
    ['alg none', () => unsigned(account.token), 'unauthenticated'],
    [
      'HS512 with the right secret',
      () => resigned(account.token, {}, { algorithm: 'HS512' }),
      'unauthenticated',
    ],
    ['another secret', () => resigned(account.token, {}, { secret: 'x'.repeat(40) }), 'unauthenticated'],
    [
      'expired',
      () => resigned(account.token, { exp: Math.floor(Date.now() / 1_000) - HOUR_S }),
      'token_expired',
    ],
    ['a refresh token', () => account.refreshToken, 'unauthenticated'],
    ['claims of the wrong types', () => resigned(account.token, { user_id: 1, sid: [] }), 'unauthenticated'],
    ['no token at all', () => '', 'unauthenticated'],
    ['no JWT', () => 'a.b.c', 'unauthenticated'],
  ])('%s', async (_name, token, code) => {
    expect(refusalOf(await rest.call('GET', '/users/me', { token: token() }))).toEqual({ status: 401, code });
  });

  test('another scheme than Bearer', async () => {
    const answer = await rest.call('GET', '/users/me', {
      headers: { authorization: `Basic ${account.token}` },
    });
    expect(refusalOf(answer)).toEqual({ status: 401, code: 'unauthenticated' });
  });
});

describe('a bad path or query gets 400', () => {
  test.each([
    ['no UUID', '/rooms/none'],
    ['an upper-case UUID', '/rooms/018F0000-0000-7000-8000-00000000000A'],
    ['a UUID and more', '/rooms/018f0000-0000-7000-8000-000000000000x'],
    ['an escaped NUL', '/rooms/%00'],
    ['a broken escape', '/rooms/%zz'],
  ])('%s in the path', async (_name, path) => {
    expect(refusalOf(await rest.get(path, account.token))).toEqual({ status: 400, code: 'bad_request' });
  });

  test.each(['0', '-1', '101', '1000000000', '1e9', '1.5', 'ten', ''])('limit=%s', async (limit) => {
    const answer = await rest.messages(account.token, roomId, { limit });
    expect(refusalOf(answer)).toEqual({ status: 400, code: 'bad_request' });
    expect(answer.body.field).toBe('limit');
  });

  test.each(['before', 'after', 'around'])('%s= with what is no cursor', async (name) => {
    for (const cursor of ['x', '-1', '1.5', '99999999999999999999', "1' or '1'='1"]) {
      const answer = await rest.messages(account.token, roomId, { [name]: cursor });
      expect(refusalOf(answer)).toEqual({ status: 400, code: 'bad_request' });
      expect(answer.body.field).toBe(name);
    }
  });

  test('a list cursor that the server never gave', async () => {
    for (const after of ['!', 'AAAA', 'x'.repeat(300)]) {
      expect(refusalOf(await rest.myRooms(account.token, { after }))).toEqual({
        status: 400,
        code: 'bad_request',
      });
    }
  });
});

describe('a write that takes no body', () => {
  const bodiless = (Object.entries(ROUTES) as [string, Route][]).filter(([, { body }]) => body === NoBody);
  const id = randomUUID();
  /** Of things that aren't there, so that nothing comes of it. */
  const ask = ({ method, path }: Route, body: string, type = 'application/json') =>
    rawRequest(server.port, {
      method: method.toUpperCase(),
      path: path.replace(':emoji', ':a:').replaceAll(/:[a-zA-Z]{2,}/g, id),
      token: account.token,
      body,
      headers: { 'content-type': type },
    });

  test.each(bodiless)('%s: refuses members', async (_name, route) => {
    const refused = await ask(route, '{"a":1}');
    expect([...(outcome(refused) as unknown[]), refused?.field]).toEqual([400, 'bad_request', 'a']);
    expect(outcome(await ask(route, '[]'))).toEqual([400, 'bad_request']);
    expect(outcome(await ask(route, 'a=1', 'application/x-www-form-urlencoded'))).toEqual([
      415,
      'unsupported_media_type',
    ]);
  });

  test('takes an empty one, and one of no members', async () => {
    const answers = [];
    for (const body of ['', '{}', ' {} ']) answers.push(outcome(await ask(ROUTES.join_room, body)));
    expect(answers).toEqual(Array(3).fill([404, 'not_found']));
    expect(bodiless.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'logout',
        'leave_room',
        'complete_attachment',
        'pin_message',
        'delete_message',
      ]),
    );
  });
});

describe('a bad body gets 400', () => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  test.each<[string, string | Buffer, string | null]>([
    ['truncated JSON', '{"content":"a', null],
    ['no JSON', 'content=a', null],
    ['nothing', '', null],
    ['an array', '[]', null],
    ['null', 'null', null],
    ['10,000 levels of arrays', `{"content":"a","metadata":{"a":${deep}}}`, null],
    ['10,000 levels that never close', `{"content":"a","metadata":${'{"a":'.repeat(10_000)}`, null],
    ['an integer beyond 2^53', '{"content":"a","metadata":{"n":9007199254740993}}', null],
    ['a negative one, in a list', '{"content":"a","metadata":{"n":[1e300,-9007199254740995]}}', null],
    ['__proto__', '{"content":"a","__proto__":{"admin":true}}', '__proto__'],
    ['__proto__ below', '{"content":"a","metadata":{"__proto__":1}}', 'metadata.__proto__'],
    ['__proto__ in disguise', '{"content":"a","\\u005f_proto__":{}}', '__proto__'],
    ['an unknown member', '{"content":"a","colour":"red"}', 'colour'],
    ['a member twice', '{"content":"a","content":"b"}', 'content'],
    ['a member twice, once escaped', '{"content":"a","\\u0063ontent":"b"}', 'content'],
    ['a member twice below', '{"content":"a","metadata":{"b":[{"c":1,"c":2}]}}', null],
    ['a missing member', '{"metadata":{}}', 'content'],
    ['a member of another type', '{"content":1}', 'content'],
    ['invalid UTF-8', Buffer.from('{"content":"a\xff\xfe"}', 'latin1'), null],
    ['an overlong encoding', Buffer.from('{"content":"\xc0\x80"}', 'latin1'), null],
    ['an encoded surrogate', Buffer.from('{"content":"\xed\xa0\x80"}', 'latin1'), null],
    ['U+0000', '{"content":"a\\u0000b"}', 'content'],
    ['U+0000 in a metadata key', '{"content":"a","metadata":{"\\u0000":1}}', null],
    ['a lone high surrogate', '{"content":"a\\ud800"}', 'content'],
    ['a lone low surrogate', '{"content":"\\udc00a"}', 'content'],
    ['empty content', '{"content":""}', 'content'],
    ['5,001 code points', JSON.stringify({ content: '😀'.repeat(5_001) }), 'content'],
    ['an upper-case id', '{"content":"a","id":"018F0000-0000-7000-8000-00000000000A"}', 'id'],
    ['metadata that is no object', '{"content":"a","metadata":[1]}', 'metadata'],
    [
      'more than 4 KB of metadata',
      JSON.stringify({ content: 'a', metadata: { a: 'x'.repeat(4_096) } }),
      'metadata',
    ],
    ['a number beyond all numbers', '{"content":"a","metadata":{"n":1e999}}', null],
    [
      'a byte order mark',
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"content":"a"}')]),
      null,
    ],
  ])('%s', async (_name, body, field) => {
    const answer = await send(body);
    expect(outcome(answer)).toEqual([400, 'bad_request']);
    if (field !== null) expect(answer?.field).toBe(field);
  });

  test('5,000 code points beyond the basic plane are no mistake', async () => {
    const content = '😀'.repeat(5_000);
    expect(dataOf(await rest.send(account.token, roomId, { content })).content).toBe(content);
  });
});

describe('a body of the wrong kind or size', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
  ])('content type %s gets 415', async (type) => {
    const answer = await send('{"content":"a"}', { 'content-type': type });
    expect(outcome(answer)).toEqual([415, 'unsupported_media_type']);
  });

  test('no content type gets 415', async () => {
    expect(outcome(await send('{"content":"a"}', { 'content-type': '' }))).toEqual([
      415,
      'unsupported_media_type',
    ]);
  });

  test('application/json with a charset, in any case, is accepted', async () => {
    const answer = await send('{"content":"a"}', { 'content-type': 'Application/JSON; charset=UTF-8' });
    expect(answer?.status).toBe(201);
  });

  test('a declared length over the cap gets 413 although the rest is never sent', async () => {
    const answer = await send('{"content":"a', { 'content-length': String(BODY_CAP + 1) });
    expect(outcome(answer)).toEqual([413, 'payload_too_large']);
  });

  test('what only a message may be long for gets 413 elsewhere', async () => {
    const answer = await rawRequest(server.port, {
      method: 'POST',
      path: '/auth/login',
      body: JSON.stringify({ email: 'a@b.c', password: 'x'.repeat(32 * 1_024) }),
    });
    expect(outcome(answer)).toEqual([413, 'payload_too_large']);
  });

  test('a chunked body over the cap gets 413 before its end', async () => {
    const chunk = Buffer.alloc(BODY_CAP + 1, 'x');
    const body = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
    const answer = await send(body, { 'transfer-encoding': 'chunked', 'content-length': '' });
    expect(outcome(answer)).toEqual([413, 'payload_too_large']);
  });

  test('headers over the cap get 431', async () => {
    const answer = await rawRequest(server.port, {
      method: 'GET',
      path: '/health/live',
      headers: { 'x-large': 'x'.repeat(200_000) },
    });
    expect(answer?.status).toBe(431);
  });

  test('what is not HTTP is closed or refused, and the server lives on', async () => {
    const garbage = await rawExchange(server.port, '\x16\x03\x01\x02\x00\x01\r\n\r\n\r\n');
    expect([null, 400, 505]).toContain(garbage?.status ?? null);
    expect((await rest.call('GET', '/health/live')).status).toBe(200);
  });
});

describe('a path or method that is not there', () => {
  test('an unknown path gets 404', async () => {
    for (const path of ['/nothing', `/rooms/${roomId}/nothing`, '/users/me/']) {
      expect(refusalOf(await rest.get(path, account.token))).toEqual({ status: 404, code: 'not_found' });
    }
  });

  test('a known path with another method gets 405', async () => {
    for (const [method, path] of [
      ['PUT', '/rooms'],
      ['POST', '/users/me'],
      ['GET', '/auth/login'],
      ['DELETE', `/rooms/${roomId}/messages`],
    ] as const) {
      expect(refusalOf(await rest.call(method, path, { token: account.token }))).toEqual({
        status: 405,
        code: 'method_not_allowed',
      });
    }
  });
});

describe('every refusal', () => {
  test('has the shape of the protocol and a request id that the header repeats', async () => {
    const answer = await rest.send(account.token, roomId, { content: '' });
    expect(answer.body).toEqual({
      success: false,
      error: expect.stringMatching(/\w\.$/),
      code: 'bad_request',
      field: 'content',
      retry: false,
      request_id: must(answer.headers.get('x-request-id')),
    });
  });

  test('of sends over a user’s limit leaves repeats of what was accepted', async () => {
    const limited = await startServerWithDatabase({ RATE_LIMIT_PER_MINUTE: '4' });
    const client = restClient(limited.url);
    const person = await newAccount(client);
    const room = await newRoom(client, person); // the first
    const body = { id: randomUUID(), content: 'first' };
    const send = (sent: object) => client.post(`/rooms/${room.id}/messages`, person.token, sent);
    const accepted = dataOf(await send(body));
    for (let n = 0; n < 2; n++) expect((await send({ content: `more ${n}` })).status).toBe(201);
    const refused = await send({ content: 'too many' });
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const again = await send(body);
    expect([again.status, dataOf(again)]).toEqual([200, accepted]);
    expect((await client.get('/users/me', person.token)).status).toBe(429);
    await limited.stop();
  });

  test('of a rate limit says when to come back', async () => {
    const limited = await startServerWithDatabase({ AUTH_RATE_LIMIT_PER_MINUTE: '2' });
    const client = restClient(limited.url);
    const tries = [];
    for (let i = 0; i < 3; i++)
      tries.push(await client.login({ email: 'nobody@x.io', password: 'wrong password' }));
    expect(tries.map((answer) => answer.body.code)).toEqual([
      'invalid_credentials',
      'invalid_credentials',
      'rate_limited',
    ]);
    const last = must(tries[2]);
    expect([last.status, last.body.retry]).toEqual([429, true]);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    await limited.stop();
  });
});
