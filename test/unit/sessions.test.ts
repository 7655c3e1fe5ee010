import { afterEach, describe, expect, it, vi } from 'vitest';
import { signAccessToken } from '../../src/auth/tokens.js';
import { createSessions } from '../../src/front/sessions.js';
import type { Caller } from '../../src/ipc/messages.js';
import { newId } from '../../src/protocol/ids.js';

const SECRET = 's'.repeat(32);
const LIFE_MS = 3_600_000;
const LIMITS = { endedMax: 3, staleMs: 30_000 };

function someone(): { caller: Caller; token: string } {
  const caller: Caller = { user_id: newId(), username: 'Ada', sid: newId() };
  return { caller, token: signAccessToken(caller, { secret: SECRET, expirationMs: LIFE_MS }).token };
}

const endOf = ({ caller: { sid, user_id } }: { caller: Caller }, ended_ms = Date.now()) => ({
  sid,
  user_id,
  ended_ms,
});

afterEach(() => vi.useRealTimers());

describe('the session registry', () => {
  it('knows a token again, until it expires or its session ends', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const [here, gone] = [someone(), someone()];
    sessions.heard([]);
    for (let i = 0; i < 3; i++) {
      expect(sessions.check(here.token)).toMatchObject({ ok: true, caller: here.caller });
      expect(sessions.check(gone.token)).toMatchObject({ ok: true, caller: gone.caller });
    }
    expect(sessions.verified()).toEqual({ hits: 4, misses: 2, entries: 2 });
    sessions.end([endOf(gone)]);
    expect(sessions.check(gone.token)).toEqual({ ok: false, code: 'unauthenticated' });
    vi.advanceTimersByTime(LIFE_MS - 1_000);
    expect(sessions.check(here.token)).toMatchObject({ ok: true });
    vi.advanceTimersByTime(1_000);
    expect(sessions.check(here.token)).toEqual({ ok: false, code: 'token_expired' });
    expect(sessions.verified().entries).toBe(1);
  });

  it('never takes one token for another, nor a token for signed that isn’t', () => {
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const { token } = someone();
    sessions.heard([]);
    expect(sessions.check(token)).toMatchObject({ ok: true });
    const forged = `${token.slice(0, -10)}${token.at(-10) === 'A' ? 'B' : 'A'}${token.slice(-9)}`;
    for (const text of [forged, token.slice(0, -1), ` ${token}`, ''])
      for (let i = 0; i < 2; i++)
        expect(sessions.check(text)).toEqual({ ok: false, code: 'unauthenticated' });
    expect(sessions.verified().entries).toBe(1);
  });

  it('lets nobody in before it has heard which sessions ended, nor when the news is old', () => {
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const { token } = someone();
    expect(sessions.check(token)).toEqual({ ok: false, code: 'unavailable' });
    sessions.heard([]);
    expect(sessions.check(token)).toMatchObject({ ok: true });
    const stale = createSessions([SECRET], LIFE_MS, { ...LIMITS, staleMs: -1 });
    stale.heard([]);
    expect(stale.check(token)).toEqual({ ok: false, code: 'unavailable' });
  });

  it('refuses the tokens of an ended session and reports each end once', () => {
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const [gone, here] = [someone(), someone()];
    sessions.heard([]);
    expect(sessions.end([endOf(gone)])).toEqual([endOf(gone, expect.any(Number))]);
    expect(sessions.heard([endOf(gone)])).toEqual([]);
    expect(sessions.check(gone.token)).toEqual({ ok: false, code: 'unauthenticated' });
    expect(sessions.check(here.token)).toMatchObject({ ok: true });
  });

  it('forgets ends that no token outlives', () => {
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const [old, here] = [someone(), someone()];
    sessions.heard([endOf(old, Date.now() - 3 * LIFE_MS)]);
    expect(sessions.check(here.token)).toMatchObject({ ok: true });
    expect(sessions.check(old.token)).toMatchObject({ ok: true }); // as the life of tokens says: it can't be
  });

  it('asks for a renewal of tokens from before the ends it had no room for', () => {
    const sessions = createSessions([SECRET], LIFE_MS, LIMITS);
    const [first, here] = [someone(), someone()];
    sessions.heard([first, someone(), someone(), someone()].map((of) => endOf(of)));
    expect(sessions.check(first.token)).toEqual({ ok: false, code: 'token_expired' });
    expect(sessions.check(here.token)).toEqual({ ok: false, code: 'token_expired' });
  });
});
