import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Accounts, SignedIn } from '../../src/auth/accounts.js';
import { hashPassword, isOutdatedHash, verifyPassword } from '../../src/auth/password-hash.js';
import { accountHandlers } from '../../src/http/account-handlers.js';
import type { HttpCall } from '../../src/http/types.js';
import { Refusal } from '../../src/protocol/errors.js';
import { newId, type UserId } from '../../src/protocol/ids.js';
import { type Db, openDatabase, StoreUnavailable } from '../../src/store/client.js';
import { accountStore, passwordHashOf } from '../../src/store/users.js';
import {
  type AccountFixture,
  accountFixture,
  callerIn,
  HASH_COST,
  outcomes,
  PASSWORD,
  refusalOf,
} from '../helpers/account-fixture.js';

let fixture: AccountFixture;
let db: Db;
let accounts: Accounts;

beforeAll(async () => {
  fixture = await accountFixture();
  ({ db, accounts } = fixture);
});
afterAll(() => fixture.close());
beforeEach(() => fixture.forget());

describe('registering', () => {
  it('answers the new account and a live session named after its device', async () => {
    const { caller, signedIn, email, username } = await fixture.somebody();
    expect(signedIn).toEqual({
      user: {
        id: caller.user_id,
        username,
        email,
        avatar_url: null,
        status: 'offline',
        last_seen_at: null,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
      token: expect.any(String),
      refresh_token: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      expires_in: 86_400,
    });
    expect(await fixture.alive(caller)).toBe(true);
    expect(await accounts.listSessions(caller)).toMatchObject([
      { id: caller.sid, device: 'Laptop', current: true },
    ]);
    expect(await accounts.me(caller)).toEqual(signedIn.user);
  });

  it('names the member that is taken, in any case', async () => {
    const { email, username } = await fixture.somebody();
    const again = (name: string, mail: string) =>
      refusalOf(accounts.register({ username: name, email: mail, password: PASSWORD }, null));
    expect(await again('someone-else', email.toUpperCase())).toBe('conflict email');
    expect(await again(username.toLowerCase(), 'else@example.org')).toBe('conflict username');
  });

  it('lets exactly one of many at once have an email or a username', async () => {
    const at = (i: number, username: string, email: string) =>
      accounts.register({ username, email, password: PASSWORD }, `Device ${i}`);
    const sameEmail = await outcomes(Array.from({ length: 8 }, (_, i) => at(i, `rush-${i}`, 'Rush@x.org')));
    expect(sameEmail).toEqual([...Array(7).fill('conflict email'), 'granted']);
    const sameName = await outcomes(Array.from({ length: 8 }, (_, i) => at(i, 'hurry', `hurry-${i}@x.org`)));
    expect(sameName).toEqual([...Array(7).fill('conflict username'), 'granted']);
  });
});

describe('logging in', () => {
  it('takes the email in any case and opens one more session', async () => {
    const { caller, email } = await fixture.somebody();
    const second = callerIn(
      await accounts.login({ email: email.toUpperCase(), password: PASSWORD }, 'Phone'),
    );
    expect(second.user_id).toBe(caller.user_id);
    expect(second.sid).not.toBe(caller.sid);
    const sessions = await accounts.listSessions(second);
    expect(sessions.map(({ device, current }) => [device, current])).toEqual([
      ['Phone', true],
      ['Laptop', false],
    ]);
  });

  it('tells nothing of an email: unknown and wrong cost one verification of equal parameters', async () => {
    const { email } = await fixture.somebody();
    expect(await refusalOf(accounts.login({ email, password: 'wrong horse' }, null))).toBe(
      'invalid_credentials',
    );
    const unknown = { email: 'nobody@example.org', password: PASSWORD };
    expect(await refusalOf(accounts.login(unknown, null))).toBe('invalid_credentials');
    expect(fixture.verified.map(([password]) => password)).toEqual(['wrong horse', PASSWORD]);
    const [known, decoy] = fixture.verified.map(([, hash]) => hash.split('$').slice(0, 4));
    expect(decoy).toEqual(known);
  });

  it('takes a password whole and as it is', async () => {
    const stem = 'x'.repeat(72);
    const passwords = [
      `${stem}a`,
      `${stem}b`,
      'caf\u00e9 caf\u00e9',
      'cafe\u0301 cafe\u0301',
      '\ud83d\udc2b'.repeat(256),
    ];
    for (const password of passwords) {
      const hash = hashPassword(password, HASH_COST);
      expect(passwords.filter((other) => verifyPassword(other, hash))).toEqual([password]);
    }
    for (const malformed of [
      '',
      'x',
      '$2b$10$abc',
      '$argon2id$v=19$m=1,t=1,p=1$$',
      '$argon2id$v=19$m=99999999999',
    ]) {
      expect(verifyPassword(PASSWORD, malformed)).toBe(false);
    }
  });

  it('puts a hash of the present cost in the place of an older one, once, and every log-in at that time succeeds', async () => {
    const { caller, email } = await fixture.somebody();
    const cost = { memoryKib: 1_024, passes: 2 };
    const hashes: string[] = [];
    const dearer = fixture.accountsWith({
      hasher: {
        hash: async (password) => hashPassword(password, cost),
        verify: async (password, hash) => {
          hashes.push(hash);
          return verifyPassword(password, hash);
        },
        isOutdated: (hash) => isOutdatedHash(hash, cost),
      },
    });
    const login = () => dearer.login({ email, password: PASSWORD }, null);
    await Promise.all([login(), login(), login(), login()]);
    const stored = await passwordHashOf(fixture.db, caller.user_id);
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=1024,t=2,p=1\$/);
    hashes.length = 0;
    await login();
    expect(hashes).toEqual([stored]);
    expect(await passwordHashOf(fixture.db, caller.user_id)).toBe(stored);
    expect(await refusalOf(dearer.login({ email, password: 'wrong password' }, null))).toBe(
      'invalid_credentials',
    );
  });

  it('says overloaded, for known and unknown alike, while passwords can’t be hashed', async () => {
    const { email } = await fixture.somebody();
    const refuse = async (): Promise<never> => {
      throw new Refusal('overloaded');
    };
    const busy = fixture.accountsWith({ hasher: { hash: refuse, verify: refuse, isOutdated: () => false } });
    for (const whose of [email, 'nobody@example.org']) {
      expect(await refusalOf(busy.login({ email: whose, password: PASSWORD }, null))).toBe('overloaded');
    }
  });
});

describe('an account', () => {
  it('is shown to others without its email, with its presence', async () => {
    const { caller, signedIn } = await fixture.somebody();
    const { email, ...visible } = signedIn.user;
    const present = fixture.accountsWith({
      statusOf: (user_id) => (user_id === caller.user_id ? 'away' : 'offline'),
    });
    expect(email).toBeTruthy();
    expect(await present.user(caller.user_id)).toEqual({ ...visible, status: 'away' });
    expect(await refusalOf(accounts.user(newId<UserId>()))).toBe('not_found');
  });

  it('that was deleted is gone for everybody', async () => {
    const { caller, signedIn, email } = await fixture.somebody();
    await db`update users set deleted_at = now() where id = ${caller.user_id}`;
    expect(await refusalOf(accounts.me(caller))).toBe('unauthenticated');
    expect(await refusalOf(accounts.user(caller.user_id))).toBe('not_found');
    expect(await refusalOf(accounts.login({ email, password: PASSWORD }, null))).toBe('invalid_credentials');
    expect(await refusalOf(accounts.refresh(signedIn.refresh_token))).toBe('unauthenticated');
  });

  it('is unavailable, not unknown, while the database is away', async () => {
    const away = openDatabase('postgres://parley@127.0.0.1:1/none', 1, 'away');
    const cut = fixture.accountsWith({ store: accountStore(away) });
    await expect(cut.login({ email: 'a@b', password: PASSWORD }, null)).rejects.toBeInstanceOf(
      StoreUnavailable,
    );
    await expect(cut.refresh('token')).rejects.toBeInstanceOf(StoreUnavailable);
    await away.end({ timeout: 0 });
  });
});

describe('the REST handlers', () => {
  const call = (options: Partial<HttpCall>): HttpCall => ({
    params: {},
    query: null,
    body: null,
    caller: null,
    address: '192.0.2.1',
    userAgent: '',
    origin: '',
    over: null,
    ...options,
  });

  it('answer with the statuses and shapes of the protocol', async () => {
    const handlers = accountHandlers(accounts);
    const credentials = { email: 'rest@example.org', password: PASSWORD };
    const registered = await handlers.register(call({ body: { ...credentials, username: 'rest' } }));
    const session = {
      user: expect.any(Object),
      token: expect.any(String),
      refresh_token: expect.any(String),
    };
    expect(registered).toEqual({ status: 201, data: { ...session, expires_in: 86_400 } });
    const { data } = (await handlers.login(call({ body: credentials }))) as { data: SignedIn };
    const caller = callerIn(data);
    const refreshed = await handlers.refresh(call({ body: { refresh_token: data.refresh_token } }));
    expect(refreshed).toEqual({ status: 200, data: { ...session, expires_in: 86_400 } });
    expect(await handlers.get_me(call({ caller }))).toEqual({ status: 200, data: data.user });
    expect(await handlers.get_user(call({ caller, params: { userId: caller.user_id } }))).toEqual({
      status: 200,
      data: expect.not.objectContaining({ email: expect.anything() }),
    });
    expect(await handlers.list_sessions(call({ caller }))).toMatchObject({
      status: 200,
      data: [{ id: caller.sid, device: null, current: true }, { current: false }],
      page: { has_more: false, next: null },
    });
    const body = { current_password: PASSWORD, new_password: `${PASSWORD}!` };
    expect(await handlers.change_password(call({ caller, body }))).toEqual({ status: 200, data: {} });
    expect(await handlers.logout(call({ caller }))).toEqual({ status: 200, data: {} });
    const gone = handlers.end_session(call({ caller, params: { sessionId: caller.sid } }));
    expect(await refusalOf(gone)).toBe('not_found');
    expect(await refusalOf(handlers.get_me(call({})))).toBe('unauthenticated');
  });

  it('name a session after the given device, else the user agent, cut to 200 code points', async () => {
    const { caller, email } = await fixture.somebody();
    const handlers = accountHandlers(accounts);
    const login = (userAgent: string, device?: string) =>
      handlers.login(call({ userAgent, body: { email, password: PASSWORD, ...(device ? { device } : {}) } }));
    await login('Firefox', 'My phone');
    await login('\ud83d\udc2b'.repeat(300));
    await login('Fire\u0000fox');
    const devices = (await accounts.listSessions(caller)).map(({ device }) => device);
    expect(devices).toEqual(['Firefox', '\ud83d\udc2b'.repeat(200), 'My phone', 'Laptop']);
  });
});
