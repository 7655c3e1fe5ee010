import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import type { Refusal } from '../../src/protocol/errors.js';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Message } from '../../src/protocol/model.js';
import { type BatchWriter, createBatchWriter } from '../../src/rooms/batch-writer.js';
import { type LogEvent, rebuildEvents } from '../../src/rooms/events.js';
import { LogUnavailable } from '../../src/rooms/log-errors-port.js';
import type { MessageLog } from '../../src/rooms/ports.js';
import type { SendOrder } from '../../src/rooms/send-order.js';
import type { SendOutcome } from '../../src/rooms/write-jobs.js';
import { BATCH_MAX } from '../../src/rooms/write-jobs.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { messageLog } from '../../src/store/message-log.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { DEADLINE_MS, must, until, within } from '../helpers/deadline.js';

const yes = () => null;

let database: TestDatabase;
let db: Db;
let log: MessageLog;
let user: UserId;
let events: LogEvent[];
let reported: unknown[];
let writer: BatchWriter;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 4, 'batch-writer-test');
  log = messageLog(db);
  user = newId();
  await db`insert into users (id, username, email, password_hash) values (${user}, 'ann', 'ann@x.test', '')`;
});

afterAll(async () => {
  await db.end();
  await database.drop();
});

beforeEach(() => startWriter(log));
afterEach(() => writer.close());

function startWriter(on: MessageLog): void {
  writer?.close();
  events = [];
  reported = [];
  writer = createBatchWriter(
    on,
    (some) => events.push(...some),
    (error) => reported.push(error),
  );
}

async function newRoom(): Promise<RoomId> {
  const room = newId<RoomId>();
  await db`insert into rooms (id, name, type, created_by) values (${room}, 'room', 'public', ${user})`;
  await db`insert into room_heads (room_id) values (${room})`;
  await db`insert into room_members (room_id, user_id, role) values (${room}, ${user}, 'moderator')`;
  return room;
}

function said(room_id: RoomId, content: string, more: Partial<SendOrder> = {}): SendOrder {
  const ids = { id: newId<MessageId>(), room_id, user_id: user, reply_to: null, thread_root: null };
  const body = { content, metadata: null, metadataValue: {}, named: [], mentions: [], username: 'ann' };
  return { ...ids, ...body, body_hash: createHash('sha256').update(content).digest('hex'), ...more };
}

function texts(room: RoomId, count: number): SendOrder[] {
  return Array.from({ length: count }, (_, i) => said(room, `text ${i + 1}`));
}

function sendAll(orders: readonly SendOrder[]): Promise<PromiseSettledResult<SendOutcome>[]> {
  return within(Promise.allSettled(orders.map((order) => writer.send(order))), DEADLINE_MS, 'the answers');
}

/** The message of a send that was answered as sent. */
function sentBy(result: PromiseSettledResult<SendOutcome> | undefined): Message {
  if (result?.status !== 'fulfilled' || !('sent' in result.value))
    throw new Error('not sent', { cause: result });
  return result.value.sent;
}

function codeOf(result: PromiseSettledResult<unknown> | undefined): string | null {
  return result?.status === 'rejected' ? (result.reason as Refusal).problem.code : null;
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** Rows, counters and events of a room agree, and nothing is missing or twice. */
async function expectGapless(room: RoomId, seq: number, rev: number): Promise<void> {
  const rows = await db<{ seq_no: number }[]>`
    select seq_no from messages where room_id = ${room} order by seq_no`;
  expect(rows.map((row) => row.seq_no)).toEqual(upTo(seq));
  expect(await log.heads([room])).toEqual([{ room_id: room, head_seq: seq, head_rev: rev }]);
  const own = events.filter((event) => event.room_id === room);
  expect(own.map((event) => event.rev)).toEqual(upTo(rev));
  const { changes } = await log.changesAfter(room, 0, 10_000);
  expect([...rebuildEvents(room, changes).keys()].sort((a, b) => a - b)).toEqual(upTo(rev));
}

/** Numbers that look random and are the same in every run with the same seed. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

test('a poison message in a batch of 100 fails alone, and the others keep their order without a gap', async () => {
  for (const place of [0, 41, 99]) {
    const room = await newRoom();
    const orders = texts(room, 100);
    orders[place] = said(room, 'a\u0000b');
    const results = await sendAll(orders);
    expect(codeOf(results[place])).toBe('bad_request');
    const good = results.filter((_, i) => i !== place).map(sentBy);
    expect(good.map((message) => message.seq_no)).toEqual(upTo(99));
    expect(good.map((message) => message.content)).toEqual(
      orders.filter((_, i) => i !== place).map((order) => order.content),
    );
    await expectGapless(room, 99, 99);
  }
  expect(reported).toEqual([]);
});

test('a poison message of one room leaves the other rooms of its batch alone', async () => {
  const [bad, good] = [await newRoom(), await newRoom()];
  const orders = upTo(20).flatMap((i) => [said(bad, i === 7 ? '\u0000' : `b ${i}`), said(good, `g ${i}`)]);
  const results = await sendAll(orders);
  expect(results.map(codeOf).filter((code) => code !== null)).toEqual(['bad_request']);
  await expectGapless(bad, 19, 19);
  await expectGapless(good, 20, 20);
});

test('a poisonous edit fails alone', async () => {
  const room = await newRoom();
  const orders = texts(room, 3);
  await sendAll(orders);
  const results = await Promise.allSettled(
    orders.map(({ id }, i) =>
      writer.change('edit', { id, room_id: room, content: i === 1 ? '\u0000' : 'new' }, yes),
    ),
  );
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  await expectGapless(room, 3, 5);
});

test('an id that exists is answered with its message, and the fresh ones burn no number', async () => {
  const [room, other] = [await newRoom(), await newRoom()];
  const first = said(room, 'first');
  sentBy((await sendAll([first]))[0]);
  startWriter(log);
  const orders = [...texts(room, 5), { ...first }, ...texts(other, 3), said(other, 'x', { id: first.id })];
  const results = await sendAll(orders);
  for (const place of [5, 9]) {
    expect(results[place]).toMatchObject({
      status: 'fulfilled',
      value: { exists: { id: first.id, room_id: room, seq_no: 1, rev: 1 } },
    });
  }
  expect([0, 1, 2, 3, 4].map((i) => sentBy(results[i]).seq_no)).toEqual([2, 3, 4, 5, 6]);
  expect([6, 7, 8].map((i) => sentBy(results[i]).seq_no)).toEqual([1, 2, 3]);
  await expectGapless(room, 6, 6);
  await expectGapless(other, 3, 3);
  expect(reported).toEqual([]);
});

test('a send that is asked for again is told of again: whoever committed it may have died before telling', async () => {
  const room = await newRoom();
  const first = said(room, 'first');
  const message = sentBy((await sendAll([first]))[0]);
  startWriter(log); // another node's, which hasn't heard of it
  const [again, other] = await sendAll([{ ...first }, said(room, 'another text', { id: first.id })]);
  for (const result of [again, other]) expect(result).toMatchObject({ value: { exists: { id: first.id } } });
  expect(events).toEqual([{ room_id: room, rev: 1, type: 'new_message', message }]);
});

test('a message may answer one that was sent just before it', async () => {
  const room = await newRoom();
  const question = said(room, 'question');
  const results = await sendAll([question, said(room, 'answer', { reply_to: question.id })]);
  expect(results.map(codeOf)).toEqual([null, null]);
  await expectGapless(room, 2, 2);
});

test('changes of one message enqueued in one tick are made one after another', async () => {
  const room = await newRoom();
  const { id } = sentBy((await sendAll([said(room, 'text')]))[0]);
  const at = { id: id as MessageId, room_id: room, user_id: user };
  const alive = (target: { deleted: boolean }) => (target.deleted ? ('not_found' as const) : null);
  const results = await Promise.allSettled([
    writer.change('edit', { ...at, content: 'a' }, alive),
    writer.change('edit', { ...at, content: 'b' }, alive),
    writer.change('delete', at, yes),
    writer.change('edit', { ...at, content: 'c' }, alive),
    writer.change('delete', at, yes),
    writer.send(said(room, 'later')),
  ]);
  expect(results.map(codeOf)).toEqual([null, null, null, 'not_found', null, null]);
  expect(events.map((event) => [event.rev, event.type, event.message.content])).toEqual([
    [1, 'new_message', 'text'],
    [2, 'message_updated', 'a'],
    [3, 'message_updated', 'b'],
    [4, 'message_deleted', ''],
    [5, 'new_message', 'later'],
  ]);
  await expectGapless(room, 2, 5);
});

test.each([1, 2, 3])(
  'interleaved changes of several rooms keep each room in order (seed %i)',
  async (seed) => {
    const roll = dice(seed);
    const rooms = await Promise.all(Array.from({ length: 6 }, newRoom));
    const idsOf = new Map<RoomId, MessageId[]>(rooms.map((room) => [room, []]));
    const expected = new Map<RoomId, string[]>(rooms.map((room) => [room, []]));
    const gone = new Set<MessageId>();
    const answers: Promise<unknown>[] = [];
    for (let i = 0; i < 1_500; i++) {
      const room = must(rooms[roll(rooms.length)]);
      const [ids, story] = [must(idsOf.get(room)), must(expected.get(room))];
      const id = ids[ids.length - 1 - roll(Math.min(ids.length, 3))]; // often the same few
      const content = `text ${i}`;
      const kind = id === undefined ? 0 : roll(4);
      if (id === undefined || kind <= 1) {
        const order = said(room, content);
        ids.push(order.id);
        story.push(`new_message ${order.id} ${content}`);
        answers.push(writer.send(order));
      } else if (kind === 2) {
        if (!gone.has(id)) story.push(`message_updated ${id} ${content}`);
        answers.push(
          writer.change('edit', { id, room_id: room, content }, (it) => (it.deleted ? 'not_found' : null)),
        );
      } else {
        if (!gone.has(id)) story.push(`message_deleted ${id} `);
        gone.add(id);
        answers.push(writer.change('delete', { id, room_id: room, user_id: user }, yes));
      }
      if (roll(60) === 0) await answers.at(-1)?.catch(() => undefined); // ticks of many sizes
    }
    await within(Promise.allSettled(answers), 2 * DEADLINE_MS, 'the answers');
    await writer.idle();
    for (const room of rooms) {
      const own = events.filter((event) => event.room_id === room);
      const story = own.map(({ type, message }) => `${type} ${message.id} ${message.content}`);
      expect(story).toEqual(expected.get(room));
      await expectGapless(room, must(idsOf.get(room)).length, own.length);
    }
    expect(reported).toEqual([]);
  },
);

/** The log with inserts that wait until told, in the order they were begun; what each was to write, by room. */
function heldLog() {
  const begun: { rooms: Set<RoomId>; size: number; go: () => void }[] = [];
  const held: MessageLog = {
    ...log,
    async insert(messages, at) {
      const { promise, resolve } = deferred<void>();
      const rooms = new Set(messages.map(({ room_id }) => room_id));
      begun.push({ rooms, size: messages.length, go: resolve });
      await promise;
      return log.insert(messages, at);
    },
  };
  return { held, begun };
}

test('while a statement hangs, many changes of other rooms go in one beside it; those of its rooms wait, in order', async () => {
  const { held, begun } = heldLog();
  startWriter(held);
  const [one, other] = [await newRoom(), await newRoom()];
  const first = sendAll(texts(one, 1));
  await until(() => begun.length === 1, 'the first statement');
  const behind = sendAll([said(one, 'behind'), ...texts(other, BATCH_MAX - 1)]);
  await until(() => begun.length === 2, 'the second statement');
  expect([...must(begun[1]).rooms]).toEqual([other]);
  const last = sendAll(texts(one, 40)); // both statements are under way: these wait
  must(begun[1]).go();
  await until(() => events.some(({ room_id }) => room_id === other), 'events of the other room');
  expect(events.some(({ room_id }) => room_id === one)).toBe(false);
  must(begun[0]).go();
  await until(() => begun.length === 3, 'the third statement');
  must(begun[2]).go();
  const results = [...(await first), ...(await behind), ...(await last)].map(sentBy);
  const ofOne = results.filter(({ room_id }) => room_id === one);
  expect(ofOne.map(({ seq_no }) => seq_no)).toEqual(upTo(42));
  await expectGapless(one, 42, 42);
  await expectGapless(other, BATCH_MAX - 1, BATCH_MAX - 1);
  await writer.idle();
  expect(begun.map(({ size }) => size)).toEqual([1, BATCH_MAX - 1, 41]);
});

test('few changes wait for the statement under way, so that they go together', async () => {
  const { held, begun } = heldLog();
  startWriter(held);
  const [one, other] = [await newRoom(), await newRoom()];
  const sent = [sendAll(texts(one, 1))];
  await until(() => begun.length === 1, 'the first statement');
  sent.push(sendAll(texts(other, BATCH_MAX - 1)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toHaveLength(1);
  must(begun[0]).go();
  await until(() => begun.length === 2, 'the second statement');
  must(begun[1]).go();
  await Promise.all(sent);
  await expectGapless(other, BATCH_MAX - 1, BATCH_MAX - 1);
});

test('more than a batch holds keeps its order', async () => {
  const room = await newRoom();
  const results = await sendAll([...texts(room, 600), said(room, 'x'.repeat(1_100_000)), said(room, 'end')]);
  expect(results.map((result) => sentBy(result).seq_no)).toEqual(upTo(602));
  await expectGapless(room, 602, 602);
});

test('what is committed but reported as unavailable is answered as sent, once, with one row', async () => {
  const room = await newRoom();
  let attempts = 0;
  startWriter({
    ...log,
    async insert(messages, at) {
      const bases = await log.insert(messages, at);
      if (++attempts === 1) throw new LogUnavailable();
      return bases;
    },
  });
  const orders = texts(room, 10);
  const messages = (await sendAll(orders)).map(sentBy);
  expect(messages.map(({ id, seq_no, rev }) => [id, seq_no, rev])).toEqual(
    orders.map(({ id }, i) => [id, i + 1, i + 1]),
  );
  expect(events.map(({ message }) => message)).toEqual(messages);
  await expectGapless(room, 10, 10);
  expect(sentBy((await sendAll([said(room, 'next')]))[0]).seq_no).toBe(11);
  expect(reported).toEqual([]);
});
