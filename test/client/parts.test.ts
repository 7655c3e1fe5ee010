import * as msgpackr from 'msgpackr';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { json, msgpack } from '../../client/src/codec.js';
import { createEmitter } from '../../client/src/emitter.js';
import { AuthError, ConnectionError, errorOf, localError } from '../../client/src/errors.js';
import type { UserOffline, UserTyping } from '../../client/src/events.js';
import { paged } from '../../client/src/history.js';
import { answerOf } from '../../client/src/http.js';
import { newId } from '../../client/src/ids.js';
import { createReadMark } from '../../client/src/read-mark.js';
import { createRequests } from '../../client/src/requests.js';
import { createSession, type Tokens } from '../../client/src/session.js';
import { expiryOf } from '../../client/src/socket.js';
import { createTyping } from '../../client/src/typing.js';
import { abortable, backoffMs, sleep } from '../../client/src/waiting.js';
import { isUuid } from '../../src/protocol/ids.js';
import { must } from '../helpers/deadline.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('backing off', () => {
  test('the ceiling doubles up to its most, and all below it is as likely', () => {
    const options = { baseMs: 100, maxMs: 1_000 };
    const ceilings = [0, 1, 2, 3, 4, 50].map((attempt) => backoffMs(attempt, options, () => 0.999_999));
    expect(ceilings).toEqual([99, 199, 399, 799, 999, 999]);
    expect([0, 5].map((attempt) => backoffMs(attempt, options, () => 0))).toEqual([0, 0]);
    expect(backoffMs(2, options, () => 0.5)).toBe(200);
  });

  test('an abort ends a wait with the signal’s reason', async () => {
    const controller = new AbortController();
    const slept = sleep(60_000, controller.signal);
    const waited = abortable(new Promise(() => undefined), controller.signal);
    controller.abort(new Error('enough'));
    await expect(slept).rejects.toThrow('enough');
    await expect(waited).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('typing', () => {
  const heard = (type: (UserTyping | UserOffline)['type'], user_id: string): UserTyping | UserOffline => ({
    type,
    room_id: 'r',
    user_id,
    username: user_id,
  });

  test('many keys are told as one every two seconds, and a pause as the end', () => {
    const told: string[] = [];
    const typing = createTyping((type) => void told.push(type));
    for (let key = 0; key < 25; key++) {
      typing.key();
      vi.advanceTimersByTime(100);
    }
    expect(told).toEqual(['user_typing', 'user_typing']);
    vi.advanceTimersByTime(3_000);
    expect(told).toEqual(['user_typing', 'user_typing', 'user_stopped_typing']);
    typing.stop();
    expect(told).toHaveLength(3);
  });

  test('who types is known until they stop, write, leave, or are silent for long', () => {
    const typing = createTyping(() => undefined);
    for (const user of ['a', 'b', 'c', 'd']) typing.heard(heard('user_typing', user));
    typing.heard(heard('user_stopped_typing', 'a'));
    typing.heard(heard('user_offline', 'b'));
    typing.wrote('c');
    expect(typing.others()).toEqual([{ user_id: 'd', username: 'd' }]);
    vi.advanceTimersByTime(6_000);
    expect(typing.others()).toEqual([]);
  });
});

describe('read marks', () => {
  test('many moves go out as one, forward only', async () => {
    const sent: number[] = [];
    const mark = createReadMark(async (seq) => void sent.push(seq));
    mark.known(3);
    for (const seq of [2, 5, 9, 7]) mark.mark(seq);
    await vi.runAllTimersAsync();
    expect([sent, mark.seq()]).toEqual([[9], 9]);
    mark.mark(8);
    await vi.runAllTimersAsync();
    expect(sent).toEqual([9]);
  });
});

describe('codecs', () => {
  const frame = {
    type: 'send_message',
    ref: 1,
    payload: { content: 'é😀', id: undefined, metadata: { a: [1, null] } },
  };
  test.each([json, msgpack(msgpackr)])(
    '$subprotocol gives back what went in, without undefined members',
    (codec) => {
      expect(codec.decode(codec.encode(frame))).toEqual(JSON.parse(JSON.stringify(frame)));
    },
  );
});

test('ids are UUIDs v7, one after another', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.push(newId());
    vi.advanceTimersByTime(1);
  }
  expect(ids.every((id) => isUuid(id) && id[14] === '7' && '89ab'.includes(must(id[19])))).toBe(true);
  expect([...ids].sort()).toEqual(ids);
});

test('a listener that throws harms no other', () => {
  const thrown: (() => void)[] = [];
  vi.stubGlobal('queueMicrotask', (run: () => void) => void thrown.push(run));
  const emitter = createEmitter<{ a: number }>();
  const heard: number[] = [];
  emitter.on('a', () => {
    throw new Error('mine');
  });
  const off = emitter.on('a', (value) => void heard.push(value));
  emitter.emit('a', 1);
  off();
  emitter.emit('a', 2);
  vi.unstubAllGlobals();
  expect(heard).toEqual([1]);
  expect(must(thrown[0])).toThrow('mine');
});

describe('requests', () => {
  test('an answer goes to who asked, an error rejects, silence and a lost connection reject as retryable', async () => {
    const requests = createRequests(1_000);
    const taken: unknown[] = [];
    const one = requests.add((frame) => taken.push(frame.payload) === 2);
    const two = requests.add(() => true);
    const three = requests.add(() => true);
    requests.answer({ type: 'resumed', ref: one.ref, payload: 1 });
    requests.answer({ type: 'resumed', ref: one.ref, payload: 2 });
    await one.answered;
    expect(taken).toEqual([1, 2]);
    requests.answer({ type: 'error', ref: two.ref, payload: { code: 'muted', error: 'No.', retry: false } });
    await expect(two.answered).rejects.toMatchObject({ code: 'muted', name: 'ForbiddenError' });
    expect(requests.answer({ type: 'ok', ref: 99 })).toBe(true); // nobody waits for it, and it is no event
    expect(requests.answer({ type: 'pong' })).toBe(true);
    expect(requests.answer({ type: 'user_typing', payload: {} })).toBe(false);
    vi.advanceTimersByTime(1_000);
    await expect(three.answered).rejects.toMatchObject({ code: 'timeout', retry: true });
    const four = requests.add(() => true);
    requests.lost();
    await expect(four.answered).rejects.toBeInstanceOf(ConnectionError);
  });

  test('a loop without end is refused', () => {
    const requests = createRequests(1_000);
    for (let i = 0; i < 1_000; i++) requests.add(() => true).answered.catch(() => undefined);
    expect(() => requests.add(() => true)).toThrow(expect.objectContaining({ code: 'queue_full' }));
    requests.lost();
  });
});

test('a failed answer is an error with all that it says, a proxy’s page one of its status', () => {
  const failure = { success: false, error: 'Wait.', code: 'slow_mode', retry: true, request_id: 'x' };
  expect(() => answerOf(429, JSON.stringify(failure), '3')).toThrow(
    expect.objectContaining({
      code: 'slow_mode',
      retryAfterMs: 3_000,
      requestId: 'x',
      name: 'RateLimitError',
    }),
  );
  expect(() => answerOf(502, '<html>', null)).toThrow(
    expect.objectContaining({ code: 'unavailable', retry: true }),
  );
  expect(() => answerOf(200, '<html>', null)).toThrow(expect.objectContaining({ code: 'bad_request' }));
});

test('pages follow one another as they are consumed', async () => {
  const asked: (string | undefined)[] = [];
  const all = paged(async (cursor) => {
    asked.push(cursor);
    return cursor === undefined ? { items: [1, 2], next: 'n' } : { items: [3, 4], next: null };
  });
  const seen: number[] = [];
  for await (const item of all) {
    seen.push(item);
    if (item === 2) expect(asked).toEqual([undefined]);
    if (item === 3) break;
  }
  expect([seen, asked]).toEqual([
    [1, 2, 3],
    [undefined, 'n'],
  ]);
});

test('a token’s end is read from it where it says', () => {
  const token = `h.${Buffer.from(JSON.stringify({ exp: 1_800_000_000, name: 'ÿ?>' })).toString('base64url')}.s`;
  expect([expiryOf(token), expiryOf('opaque'), expiryOf('a.b.c')]).toEqual([1_800_000_000_000, null, null]);
});

describe('a session', () => {
  const grantOf = (number: number) => ({
    user: { id: 'u' },
    token: `token ${number}`,
    refresh_token: `refresh ${number}`,
    expires_in: 100,
  });
  /** A server of tokens: each refresh token works once. */
  function tokenServer() {
    let number = 0;
    const spent: string[] = [];
    const fetch = vi.fn(async (url: unknown, init?: RequestInit) => {
      const { refresh_token } = JSON.parse(String(init?.body)) as { refresh_token?: string };
      const failure = { success: false, code: 'token_reused', error: '', retry: false };
      if (String(url).endsWith('/refresh')) {
        if (refresh_token !== `refresh ${number}`) return Response.json(failure, { status: 401 });
        spent.push(refresh_token);
      }
      number += 1;
      return Response.json({ success: true, data: grantOf(number) });
    });
    return { fetch: fetch as unknown as typeof globalThis.fetch, spent };
  }

  test('refreshes once, however many ask, and keeps each new pair', async () => {
    const saved: (Tokens | null)[] = [];
    const { fetch, spent } = tokenServer();
    const session = createSession({ url: 'http://x', fetch, save: (tokens) => void saved.push(tokens) });
    await session.login({ email: 'e', password: 'p' });
    expect(await session.token()).toBe('token 1');
    const asked = [session.token('token 1'), session.token('token 1'), session.token('token 1')];
    expect(await Promise.all(asked)).toEqual(['token 2', 'token 2', 'token 2']);
    expect(await session.token('token 1')).toBe('token 2'); // refused as well, but replaced since
    expect(spent).toEqual(['refresh 1']);
    expect(saved.map((tokens) => tokens?.refresh_token)).toEqual(['refresh 1', 'refresh 2']);
  });

  test('refreshes before the end', async () => {
    const { fetch } = tokenServer();
    const session = createSession({ url: 'http://x', fetch });
    await session.login({ email: 'e', password: 'p' });
    vi.advanceTimersByTime(69_000);
    expect(await session.token()).toBe('token 1');
    vi.advanceTimersByTime(2_000);
    expect(await session.token()).toBe('token 2');
  });

  test('a refresh token that is dead ends it', async () => {
    const saved: (Tokens | null)[] = [];
    const { fetch } = tokenServer();
    const tokens = { ...grantOf(7), refresh_at: 0 } as unknown as Tokens;
    const session = createSession({ url: 'http://x', fetch, tokens, save: (next) => void saved.push(next) });
    await expect(session.token()).rejects.toBeInstanceOf(AuthError);
    await expect(session.token()).rejects.toMatchObject({ code: 'signed_out' });
    expect(saved).toEqual([null]);
  });
});

test('errors know their classes', () => {
  expect(errorOf({ code: 'something_new', retry: true })).toMatchObject({ name: 'ParleyError', retry: true });
  expect(localError('disconnected', 'x')).toMatchObject({ name: 'ConnectionError', retry: true });
});
