import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { errorOf, localError } from '../../client/src/errors.js';
import { createOutbox, type Outgoing } from '../../client/src/outbox.js';
import { MemoryStore, type OutboxEntry } from '../../client/src/outbox-stores.js';
import type { Ack } from '../../client/src/types.js';
import { must } from '../helpers/deadline.js';

const ackOf = (id: string): Ack => ({ id, seq_no: 1, rev: 1, created_at: '', duplicate: false });

/** An outbox whose sends the test answers. */
function outboxOn(store = new MemoryStore(), limit = 10) {
  let connected = true;
  const sends: { entry: OutboxEntry; ok: () => void; fail: (error: unknown) => void }[] = [];
  const states: string[] = [];
  const failures: unknown[] = [];
  const outbox = createOutbox({
    store,
    limit,
    connected: () => connected,
    send: (entry) =>
      new Promise((resolve, reject) =>
        sends.push({ entry, ok: () => resolve(ackOf(entry.id)), fail: reject }),
      ),
    changed: ({ body, state }: Outgoing) => void states.push(`${body.content} ${state}`),
    storeFailed: (error) => void failures.push(error),
  });
  return {
    outbox,
    store,
    sends,
    states,
    failures,
    contents: () => sends.map(({ entry }) => entry.body.content),
    add: (content: string, room = 'r') => outbox.add(room, { content }),
    connect: (on: boolean) => {
      connected = on;
      if (on) outbox.flush();
    },
  };
}
const settle = () => vi.advanceTimersByTimeAsync(0);

describe('the outbox', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('a room’s messages go one after another, other rooms beside', async () => {
    const { outbox, add, sends, contents } = outboxOn();
    await outbox.load();
    add('a');
    add('b');
    add('x', 'other');
    await settle();
    expect(contents()).toEqual(['a', 'x']);
    must(sends[0]).ok();
    await settle();
    expect(contents()).toEqual(['a', 'x', 'b']);
  });

  test('a message that has to wait holds back those behind it, and goes again under its id', async () => {
    const { outbox, add, sends, contents, states } = outboxOn();
    await outbox.load();
    const first = add('a');
    add('b');
    await settle();
    must(sends[0]).fail(errorOf({ code: 'slow_mode', retry: true, retry_after_ms: 5_000 }));
    await vi.advanceTimersByTimeAsync(4_999);
    expect(contents()).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(1);
    expect(contents()).toEqual(['a', 'a']);
    expect(must(sends[1]).entry.id).toBe(first.id);
    must(sends[1]).ok();
    expect(await first.sent).toEqual(ackOf(first.id));
    expect(states.filter((state) => state.startsWith('a'))).toEqual([
      'a queued',
      'a sending',
      'a queued',
      'a sending',
      'a sent',
    ]);
  });

  test('a rate limit holds back every room', async () => {
    const { outbox, add, sends, contents } = outboxOn();
    await outbox.load();
    add('a');
    await settle();
    must(sends[0]).fail(errorOf({ code: 'rate_limited', retry: true, retry_after_ms: 1_000 }));
    await settle();
    add('x', 'other');
    await vi.advanceTimersByTimeAsync(999);
    expect(contents()).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(1);
    expect(contents().sort()).toEqual(['a', 'a', 'x']);
  });

  test('what a lost connection left open goes again with the next one, in order', async () => {
    const { outbox, add, sends, connect, contents } = outboxOn();
    await outbox.load();
    add('a');
    add('b');
    await settle();
    connect(false);
    must(sends[0]).fail(localError('disconnected', ''));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(contents()).toEqual(['a']);
    connect(true);
    await settle();
    expect(must(sends[1]).entry.id).toBe(must(sends[0]).entry.id);
    must(sends[1]).ok();
    await settle();
    expect(contents()).toEqual(['a', 'a', 'b']);
  });

  test('a refusal for good fails one message, lets the next go, and can be tried again or thrown away', async () => {
    const { outbox, store, add, sends, contents } = outboxOn();
    await outbox.load();
    const first = add('a');
    const second = add('b');
    await settle();
    must(sends[0]).fail(errorOf({ code: 'muted', error: 'You are muted.' }));
    await expect(first.sent).rejects.toMatchObject({ code: 'muted' });
    await settle();
    expect(first).toMatchObject({ state: 'failed', error: { code: 'muted' } });
    expect(contents()).toEqual(['a', 'b']);
    must(sends[1]).ok();
    await second.sent;
    first.retry();
    await settle();
    expect(contents()).toEqual(['a', 'b', 'a']);
    must(sends[2]).fail(errorOf({ code: 'muted' }));
    await settle();
    expect(first.discard()).toBe(true);
    await settle();
    expect([outbox.list(), await store.load()]).toEqual([[], []]);
  });

  test('a queued message can be taken back, one under way can’t', async () => {
    const { outbox, add, sends, contents } = outboxOn();
    await outbox.load();
    const first = add('a');
    const second = add('b');
    await settle();
    expect([first.discard(), second.discard()]).toEqual([false, true]);
    await expect(second.sent).rejects.toMatchObject({ code: 'closed' });
    must(sends[0]).ok();
    await settle();
    expect(contents()).toEqual(['a']);
  });

  test('what isn’t sent survives a reload, in order, failures with their reason', async () => {
    const before = outboxOn();
    await before.outbox.load();
    for (const content of ['a', 'b', 'c']) before.add(content);
    await settle();
    must(before.sends[0]).fail(errorOf({ code: 'muted', error: 'You are muted.' }));
    await settle();
    before.connect(false);
    const after = outboxOn(before.store);
    after.add('d'); // before the store was read
    await after.outbox.load();
    await settle();
    expect(after.outbox.list().map(({ body, state }) => `${body.content} ${state}`)).toEqual([
      'a failed',
      'b sending',
      'c queued',
      'd queued',
    ]);
    expect(after.outbox.list()[0]?.error).toMatchObject({ code: 'muted', message: 'You are muted.' });
    expect(must(after.sends[0]).entry.id).toBe(must(before.sends[1]).entry.id);
  });

  test('a full outbox says so', async () => {
    const { outbox, add } = outboxOn(new MemoryStore(), 2);
    await outbox.load();
    add('a');
    add('b', 'other');
    expect(() => add('c')).toThrow(expect.objectContaining({ code: 'queue_full' }));
  });

  test('a store that fails loses nothing of this life', async () => {
    const store = new MemoryStore();
    store.put = () => Promise.reject(new Error('no space'));
    const { outbox, add, sends, failures } = outboxOn(store);
    await outbox.load();
    const message = add('a');
    await settle();
    must(sends[0]).ok();
    await message.sent;
    expect(failures).toEqual([new Error('no space')]);
  });
});
