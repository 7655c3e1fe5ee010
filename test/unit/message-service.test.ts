import { expect, test } from 'vitest';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { BatchWriter } from '../../src/rooms/batch-writer.js';
import { createMessageService } from '../../src/rooms/message-service.js';
import type { Standing } from '../../src/rooms/ports.js';
import { messageOf } from '../../src/rooms/send-order.js';
import { must } from '../helpers/deadline.js';

const author = { user_id: newId<UserId>(), username: 'ann' };
const room = newId<RoomId>();
const standing: Standing = {
  room_type: 'private',
  role: 'member',
  muted_until: null,
  slow_mode_s: 0,
  member_count: 2,
  username: 'ann',
};

/** A service whose sender's standing is known, and the contents in the order in which the writer got them. */
function serviceWithKnownSender() {
  const written: string[] = [];
  const asked: string[] = [];
  const named: (readonly string[])[] = [];
  const writer: Pick<BatchWriter, 'send'> = {
    send: async (order) => {
      written.push(order.content);
      named.push(order.named);
      return { sent: messageOf(order, written.length, written.length, new Date(0).toISOString()) };
    },
  };
  const service = createMessageService({
    log: {
      known: async (ids) => {
        asked.push(...ids);
        return [];
      },
      attachmentsOf: async () => [],
    },
    admission: {
      of: () => standing,
      forget: () => {},
      forgetUser: () => {},
      lookups: { hits: 0, misses: 0 },
      size: 0,
    },
    writer: writer as BatchWriter,
    slowMode: { run: () => Promise.reject(new Error('no room here is slow')) },
  });
  return { service, written, asked, named };
}

test('one sender’s messages keep their order, with ids of their own or without', async () => {
  const { service, written } = serviceWithKnownSender();
  await Promise.all([
    service.send(author, room, { content: 'one', id: newId() }, null),
    service.send(author, room, { content: 'two' }, null),
    service.send(author, room, { content: 'three', id: newId() }, null),
    service.send(author, room, { content: 'four' }, null),
  ]);
  expect(written).toEqual(['one', 'two', 'three', 'four']);
});

test('the same send twice at once is one message, and the second answer says duplicate', async () => {
  const { service, written } = serviceWithKnownSender();
  const body = { content: 'once', id: newId() };
  const [first, second] = await Promise.all([
    service.send(author, room, body, null),
    service.send(author, room, body, null),
  ]);
  expect(written).toEqual(['once']);
  expect([first.duplicate, second.duplicate]).toEqual([false, true]);
  expect(second.message.seq_no).toBe(first.message.seq_no);
});

test('a repeat is answered also by a sender who is over a limit, a new message is not', async () => {
  const { service } = serviceWithKnownSender();
  const body = { content: 'before the limit', id: newId() };
  await service.send(author, room, body, null);
  expect((await service.send(author, room, body, 500)).duplicate).toBe(true);
  await expect(service.send(author, room, { content: 'more' }, 500)).rejects.toMatchObject({
    problem: { code: 'rate_limited', retry_after_ms: 500 },
  });
});

test('20,000 ids are known without asking the database, and of one more the oldest isn’t', async () => {
  const { service, asked } = serviceWithKnownSender();
  const ids = Array.from({ length: 20_001 }, () => newId());
  for (const id of ids) await service.send(author, room, { content: 'a', id }, null);
  expect(service.recent().entries).toBe(20_000);
  const again = (id: string | undefined) => service.send(author, room, { content: 'a', id: must(id) }, 500);
  expect((await again(ids[1])).duplicate).toBe(true);
  expect(asked).toEqual([]);
  await expect(again(ids[0])).rejects.toMatchObject({ problem: { code: 'rate_limited' } });
  expect(asked).toEqual([ids[0]]);
});

test('of 51 names in a message 50 are looked up, each once', async () => {
  const { service, named } = serviceWithKnownSender();
  const names = Array.from({ length: 51 }, (_, i) => `user-${i}`);
  const content = ['user-0', ...names].map((name) => `@${name}`).join(' ');
  await service.send(author, room, { content }, null);
  expect(named).toEqual([names.slice(0, 50)]);
});
