import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Accounts } from '../../src/auth/accounts.js';
import { newId, type SessionId } from '../../src/protocol/ids.js';
import type { Db } from '../../src/store/client.js';
import { changePassword, openSession, purgeSessions } from '../../src/store/sessions.js';
import { passwordHashOf } from '../../src/store/users.js';
import {
  type AccountFixture,
  accountFixture,
  callerIn,
  DAY_MS,
  outcomes,
  PASSWORD,
  refusalOf,
} from '../helpers/account-fixture.js';
import { waitingForLocks } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';

let fixture: AccountFixture;
let db: Db;
let accounts: Accounts;

beforeAll(async () => {
  fixture = await accountFixture();
  ({ db, accounts } = fixture);
});
afterAll(() => fixture.close());
beforeEach(() => fixture.forget());

describe('refreshing', () => {
  it('gives a new pair, extends the session and knows the current name', async () => {
    const { caller, signedIn } = await fixture.somebody();
    const before = must((await accounts.listSessions(caller))[0]);
    await db`update users set username = 'Renamed' where id = ${caller.user_id}`;
    const next = await accounts.refresh(signedIn.refresh_token);
    expect(next.refresh_token).not.toBe(signedIn.refresh_token);
    expect(next.user).toEqual({ ...signedIn.user, username: 'Renamed' });
    expect(callerIn(next)).toEqual({ ...caller, username: 'Renamed' });
    const after = must((await accounts.listSessions(caller))[0]);
    expect(Date.parse(after.expires_at)).toBeGreaterThan(Date.parse(before.expires_at));
    expect(Date.parse(after.last_used_at) + 30 * DAY_MS).toBe(Date.parse(after.expires_at));
    await accounts.refresh(next.refresh_token);
  });

  it('ends the whole session when a used token comes back', async () => {
    const { caller, signedIn, email } = await fixture.somebody();
    const bystander = callerIn(await accounts.login({ email, password: PASSWORD }, null));
    const next = await accounts.refresh(signedIn.refresh_token);
    expect(await refusalOf(accounts.refresh(signedIn.refresh_token))).toBe('token_reused');
    expect(fixture.ended).toEqual([caller.sid]);
    expect(await fixture.alive(caller)).toBe(false);
    expect(await refusalOf(accounts.refresh(next.refresh_token))).toBe('unauthenticated');
    expect(await fixture.alive(bystander)).toBe(true);
  });

  it('lets exactly one of many uses at once win, and takes the others for reuse', async () => {
    const { caller, signedIn } = await fixture.somebody();
    // Held back by the session's lock, all of them have read the token as unused before any of them spends it.
    const attempts = await db.begin(async (tx) => {
      await tx`select from sessions where id = ${caller.sid} for update`;
      const waiting = Array.from({ length: 6 }, () => accounts.refresh(signedIn.refresh_token));
      await until(
        async () => (await waitingForLocks(db)) === waiting.length,
        'six refreshes waiting for the lock',
      );
      return { waiting };
    });
    expect(await outcomes(attempts.waiting)).toEqual(['granted', ...Array(5).fill('token_reused')]);
    expect(await fixture.alive(caller)).toBe(false);
    expect(new Set(fixture.ended)).toEqual(new Set([caller.sid]));
    const [tokens] = await db`select count(*) from refresh_tokens where session_id = ${caller.sid}`;
    expect(tokens?.count).toBe(2);
  });

  it('tells an expired token from an unknown one, and an ended session from both', async () => {
    const { caller, signedIn, email } = await fixture.somebody();
    expect(await refusalOf(accounts.refresh('no-such-token'))).toBe('unauthenticated');
    expect(await refusalOf(accounts.refresh(signedIn.token))).toBe('unauthenticated');
    await db`update sessions set expires_at = now() where id = ${caller.sid}`;
    expect(await refusalOf(accounts.refresh(signedIn.refresh_token))).toBe('token_expired');
    expect(await accounts.listSessions(caller)).toEqual([]);
    const other = await accounts.login({ email, password: PASSWORD }, null);
    await accounts.logout(callerIn(other));
    expect(await refusalOf(accounts.refresh(other.refresh_token))).toBe('unauthenticated');
  });

  it('never promises a token that outlives its session', async () => {
    const { signedIn } = await fixture.somebody();
    const brief = fixture.accountsWith({ refreshExpirationMs: 60_000 });
    expect((await brief.refresh(signedIn.refresh_token)).expires_in).toBe(60);
  });
});

describe('ending sessions', () => {
  it('by logging out ends this one, and twice is like once', async () => {
    const { caller, email } = await fixture.somebody();
    const other = callerIn(await accounts.login({ email, password: PASSWORD }, null));
    await accounts.logout(caller);
    await accounts.logout(caller);
    expect(new Set(fixture.ended)).toEqual(new Set([caller.sid]));
    expect([await fixture.alive(caller), await fixture.alive(other)]).toEqual([false, true]);
  });

  it('one by one is for one’s own live sessions', async () => {
    const { caller, email } = await fixture.somebody();
    const other = callerIn(await accounts.login({ email, password: PASSWORD }, null));
    const stranger = (await fixture.somebody()).caller;
    expect(await refusalOf(accounts.endSession(stranger, other.sid))).toBe('not_found');
    expect(await refusalOf(accounts.endSession(caller, newId()))).toBe('not_found');
    expect(fixture.ended).toEqual([]);
    await accounts.endSession(caller, other.sid);
    expect(fixture.ended).toEqual([other.sid]);
    expect(await refusalOf(accounts.endSession(caller, other.sid))).toBe('not_found');
    expect([await fixture.alive(caller), await fixture.alive(other)]).toEqual([true, false]);
  });

  it('by changing the password ends all others', async () => {
    const { caller, email, signedIn } = await fixture.somebody();
    const others = [];
    for (let i = 0; i < 3; i++)
      others.push(callerIn(await accounts.login({ email, password: PASSWORD }, null)));
    const change = (current_password: string) =>
      accounts.changePassword(caller, { current_password, new_password: 'another horse' });
    expect(await refusalOf(change('wrong horse'))).toBe('invalid_credentials current_password');
    expect(fixture.ended).toEqual([]);
    await change(PASSWORD);
    expect(new Set(fixture.ended)).toEqual(new Set(others.map(({ sid }) => sid)));
    expect(await fixture.alive(caller)).toBe(true);
    await accounts.refresh(signedIn.refresh_token);
    expect(await refusalOf(accounts.login({ email, password: PASSWORD }, null))).toBe('invalid_credentials');
    await accounts.login({ email, password: 'another horse' }, null);
  });

  it('leaves none that the old password opened while it was being changed', async () => {
    for (let round = 0; round < 10; round++) {
      const { caller } = await fixture.somebody();
      const from = must(await passwordHashOf(db, caller.user_id));
      const open = () => {
        const refreshTokenHash = crypto.getRandomValues(new Uint8Array(32));
        const session = { id: newId<SessionId>(), device: null, lifetimeMs: DAY_MS, refreshTokenHash };
        return openSession(db, caller.user_id, from, session);
      };
      const early = Array.from({ length: 4 }, open);
      const change = changePassword(db, { user_id: caller.user_id, sid: caller.sid, from, to: 'other' });
      await Promise.all([...early, change, ...Array.from({ length: 4 }, open)]);
      expect((await accounts.listSessions(caller)).map(({ id }) => id)).toEqual([caller.sid]);
      expect(await open()).toBe(false);
    }
  });

  it('long ago removes them and their tokens, and no live one', async () => {
    const [live, over, expired] = [
      await fixture.somebody(),
      await fixture.somebody(),
      await fixture.somebody(),
    ];
    await accounts.logout(over.caller);
    await db`update sessions set expires_at = now() where id = ${expired.caller.sid}`;
    expect(await purgeSessions(db, new Date(Date.now() - DAY_MS))).toBe(0);
    expect(await purgeSessions(db, new Date(Date.now() + DAY_MS))).toBeGreaterThanOrEqual(2);
    expect(await purgeSessions(db, new Date(Date.now() + DAY_MS))).toBe(0);
    const [left] = await db`
      select count(*) from refresh_tokens where session_id in (${over.caller.sid}, ${expired.caller.sid})`;
    expect(left?.count).toBe(0);
    expect(await refusalOf(accounts.refresh(over.signedIn.refresh_token))).toBe('unauthenticated');
    await accounts.refresh(live.signedIn.refresh_token);
  });
});
