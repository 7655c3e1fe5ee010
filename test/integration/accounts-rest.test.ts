import { beforeAll, describe, expect, test } from 'vitest';
import { must } from '../helpers/deadline.js';
import {
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { claimsOf, resigned } from '../helpers/tokens.js';

let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
});

const UNAUTHENTICATED = { status: 401, code: 'unauthenticated' };
const WRONG = { status: 401, code: 'invalid_credentials' };

const someone = (): { username: string; email: string; password: string } => {
  const username = freshName();
  return { username, email: `${username}@example.org`, password: 'correct horse' };
};

describe('registering', () => {
  test('gives 201 with the user, both tokens and their lifetime', async () => {
    const body = someone();
    const answer = await rest.register(body);
    expect(answer.status).toBe(201);
    const grant = dataOf(answer);
    expect(grant.user).toMatchObject({ username: body.username, email: body.email, avatar_url: null });
    expect(grant.expires_in).toBe(86_400);
    expect(claimsOf(grant.token)).toMatchObject({ user_id: grant.user.id, username: body.username });
    const me = await rest.get('/users/me', grant.token);
    expect(me.body.data).toMatchObject({ id: grant.user.id, email: body.email });
  });

  test('answers nothing about an email to anybody else', async () => {
    const [a, b] = [await newAccount(rest), await newAccount(rest)];
    const answer = await rest.get<{ id: string }>(`/users/${a.id}`, b.token);
    expect(dataOf(answer)).toMatchObject({ id: a.id, username: a.username });
    expect(JSON.stringify(answer.body)).not.toContain(a.email);
  });

  test('an email that differs in case only is the same account', async () => {
    const name = freshName();
    dataOf(await rest.register({ ...someone(), email: `A@${name}.io` }));
    const again = await rest.register({ ...someone(), email: `a@${name.toUpperCase()}.io` });
    expect(refusalOf(again)).toEqual({ status: 409, code: 'conflict' });
    expect(again.body.field).toBe('email');
  });

  test('a user name that differs in case only is taken', async () => {
    const first = someone();
    dataOf(await rest.register(first));
    const again = await rest.register({ ...someone(), username: first.username.toUpperCase() });
    expect(refusalOf(again)).toEqual({ status: 409, code: 'conflict' });
    expect(again.body.field).toBe('username');
  });

  test('of one name ten times at once gives one account', async () => {
    const body = someone();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rest.register(body)));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([
      201,
      ...new Array<number>(9).fill(409),
    ]);
  });

  test.each([
    ['username', 'ab'],
    ['username', 'x'.repeat(51)],
    ['username', 'with blank'],
    ['username', 'ümlaut'],
    ['email', 'nobody'],
    ['email', 'a@b@c'],
    ['password', '1234567'],
    ['password', 'x'.repeat(1_025)],
  ])('%s %j gets 400 that names the field', async (field, value) => {
    const answer = await rest.register({ ...someone(), [field]: value });
    expect(refusalOf(answer)).toEqual({ status: 400, code: 'bad_request' });
    expect(answer.body.field).toBe(field);
  });
});

describe('logging in', () => {
  test('works with the email in any case and gives a session of its own', async () => {
    const account = await newAccount(rest);
    const grant = dataOf(
      await rest.login({ email: account.email.toUpperCase(), password: account.password }),
    );
    expect(claimsOf(grant.token).sid).not.toBe(claimsOf(account.token).sid);
    expect((await rest.get('/users/me', grant.token)).status).toBe(200);
  });

  test('a wrong password and an unknown email get the same answer', async () => {
    const account = await newAccount(rest);
    const wrong = await rest.login({ email: account.email, password: 'wrong password' });
    const unknown = await rest.login({ email: 'nobody@example.org', password: 'wrong password' });
    expect([refusalOf(wrong), refusalOf(unknown)]).toEqual([WRONG, WRONG]);
    expect(wrong.body.error).toBe(unknown.body.error);
  });

  test('two passwords alike in their first 72 bytes are different', async () => {
    const body = { ...someone(), password: `${'p'.repeat(72)}-one` };
    dataOf(await rest.register(body));
    expect(refusalOf(await rest.login({ email: body.email, password: `${'p'.repeat(72)}-two` }))).toEqual(
      WRONG,
    );
    expect((await rest.login({ email: body.email, password: body.password })).status).toBe(200);
  });

  test('a password of 1,024 characters beyond ASCII works', async () => {
    const body = { ...someone(), password: '🔑'.repeat(1_024) };
    dataOf(await rest.register(body));
    expect((await rest.login({ email: body.email, password: body.password })).status).toBe(200);
    expect(refusalOf(await rest.login({ email: body.email, password: '🔑'.repeat(1_023) }))).toEqual(WRONG);
  });
});

describe('refreshing', () => {
  test('gives a new pair for the same session', async () => {
    const account = await newAccount(rest);
    const answer = await rest.refresh(account.refreshToken);
    expect(answer.status).toBe(200);
    const grant = dataOf(answer);
    expect(grant.refresh_token).not.toBe(account.refreshToken);
    expect(claimsOf(grant.token).sid).toBe(claimsOf(account.token).sid);
    expect((await rest.get('/users/me', grant.token)).status).toBe(200);
  });

  test('with a used token ends the whole session, the new pair included', async () => {
    const account = await newAccount(rest);
    const grant = dataOf(await rest.refresh(account.refreshToken));
    expect(refusalOf(await rest.refresh(account.refreshToken))).toEqual({
      status: 401,
      code: 'token_reused',
    });
    expect((await rest.refresh(grant.refresh_token)).status).toBe(401);
    expect(refusalOf(await rest.get('/users/me', grant.token))).toEqual(UNAUTHENTICATED);
  });

  test('twice at once lets at most one through', async () => {
    const account = await newAccount(rest);
    const answers = await Promise.all(Array.from({ length: 5 }, () => rest.refresh(account.refreshToken)));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    const codes = answers.filter((answer) => answer.status !== 200).map((answer) => answer.status);
    expect(codes).toEqual([401, 401, 401, 401]);
  });

  test('with an access token or nonsense gets 401', async () => {
    const account = await newAccount(rest);
    for (const token of [account.token, 'nonsense', resigned(account.token, {})]) {
      expect((await rest.refresh(token)).status).toBe(401);
    }
  });
});

describe('ending sessions', () => {
  test('a logged-out token is refused although it has not expired, and so is its refresh token', async () => {
    const account = await newAccount(rest);
    expect((await rest.logout(account.token)).status).toBe(200);
    expect(refusalOf(await rest.get('/users/me', account.token))).toEqual(UNAUTHENTICATED);
    expect((await rest.refresh(account.refreshToken)).status).toBe(401);
  });

  test('the list shows every device and which one asks; ending one ends only that', async () => {
    const account = await newAccount(rest);
    const phone = dataOf(
      await rest.login({ email: account.email, password: account.password, device: 'phone' }),
    );
    const listed = dataOf(await rest.sessions(account.token));
    expect(listed).toHaveLength(2);
    expect(listed.find((session) => session.current)?.id).toBe(claimsOf(account.token).sid);
    const other = must(listed.find((session) => session.device === 'phone'));
    expect((await rest.delete(`/auth/sessions/${other.id}`, account.token)).status).toBe(200);
    expect(refusalOf(await rest.get('/users/me', phone.token))).toEqual(UNAUTHENTICATED);
    expect((await rest.get('/users/me', account.token)).status).toBe(200);
  });

  test('somebody else’s session is not_found', async () => {
    const [a, b] = [await newAccount(rest), await newAccount(rest)];
    const theirs = String(claimsOf(b.token).sid);
    const answer = await rest.delete(`/auth/sessions/${theirs}`, a.token);
    expect(refusalOf(answer)).toEqual({ status: 404, code: 'not_found' });
    expect((await rest.get('/users/me', b.token)).status).toBe(200);
  });

  test('a new password ends all other sessions and keeps the one that asked', async () => {
    const account = await newAccount(rest);
    const other = dataOf(await rest.login({ email: account.email, password: account.password }));
    const change = (current_password: string) =>
      rest.post('/auth/password', account.token, { current_password, new_password: 'the new password' });
    expect(refusalOf(await change('not the password'))).toEqual(WRONG);
    expect((await rest.get('/users/me', other.token)).status).toBe(200);
    expect((await change(account.password)).status).toBe(200);
    expect(refusalOf(await rest.get('/users/me', other.token))).toEqual(UNAUTHENTICATED);
    expect((await rest.get('/users/me', account.token)).status).toBe(200);
    expect(refusalOf(await rest.login({ email: account.email, password: account.password }))).toEqual(WRONG);
    expect((await rest.login({ email: account.email, password: 'the new password' })).status).toBe(200);
  });

  test('an ended session may not send, also where its token was in use a moment ago', async () => {
    const account = await newAccount(rest);
    const room = await newRoom(rest, account);
    expect((await rest.send(account.token, room.id, { content: 'a' })).status).toBe(201);
    await rest.logout(account.token);
    expect(refusalOf(await rest.send(account.token, room.id, { content: 'b' }))).toEqual(UNAUTHENTICATED);
  });
});
