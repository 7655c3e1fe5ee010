import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AttachmentId,
  type MessageId,
  newId,
  type RoomId,
  type UserId,
} from '../../src/protocol/ids.js';
import { type BatchWriter, createBatchWriter } from '../../src/rooms/batch-writer.js';
import { type LogEvent, rebuildEvents } from '../../src/rooms/events.js';
import type { ChangeOutcome, MessageLog, NewMessage, ReactionOrder } from '../../src/rooms/ports.js';
import type { SendOrder } from '../../src/rooms/send-order.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { history, messageById } from '../../src/store/history.js';
import { messageLog } from '../../src/store/message-log.js';
import { messageColumns } from '../../src/store/message-rows.js';
import { pinsOf } from '../../src/store/pins.js';
import { editsOf, thread } from '../../src/store/threads.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { DEADLINE_MS, must, within } from '../helpers/deadline.js';
import { countFaults } from '../helpers/history-check.js';

const AT = new Date('2026-01-02T03:04:05.678Z');

let database: TestDatabase;
let db: Db;
let otherDb: Db;
let log: MessageLog;
let user: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 4, 'reactions-a');
  otherDb = openDatabase(database.url, 4, 'reactions-b');
  log = messageLog(db);
  user = newId();
  await db`insert into users (id, username, email, password_hash) values (${user}, 'ann', 'ann@x.test', '')`;
});

afterAll(async () => {
  await Promise.all([db.end(), otherDb.end()]);
  await database.drop();
});

async function newRoom(): Promise<RoomId> {
  const room = newId<RoomId>();
  await db`insert into rooms (id, name, type, created_by) values (${room}, 'room', 'public', ${user})`;
  await db`insert into room_heads (room_id) values (${room})`;
  return room;
}

function said(room_id: RoomId, content: string, more: Partial<NewMessage> = {}): SendOrder {
  const ids = { id: newId<MessageId>(), room_id, user_id: user, reply_to: null, thread_root: null };
  const body = { content, metadata: null, metadataValue: {}, named: [], mentions: [], username: 'ann' };
  return { ...ids, ...body, body_hash: createHash('sha256').update(content).digest('hex'), ...more };
}

async function filled(count: number): Promise<{ room: RoomId; ids: MessageId[] }> {
  const room = await newRoom();
  const messages = Array.from({ length: count }, (_, i) => said(room, `text ${i + 1}`));
  await log.insert(messages, AT);
  return { room, ids: messages.map(({ id }) => id) };
}

/** What was told of each outcome: the rev taken and the count, or why not. */
const told = (outcomes: readonly ChangeOutcome[]) =>
  outcomes.map((outcome) =>
    outcome === null || outcome === 'full' ? outcome : [outcome.rev, outcome.count],
  );

const emojiNumber = (n: number) => `:e${n}:`;
const reactionsOf = async (id: MessageId) => must(await messageById(db, id)).message.reactions;

test('many reactions to one message in a batch take a rev and a count each, and repeats none', async () => {
  const { room, ids } = await filled(1);
  const [id] = ids as [MessageId];
  const [a, b, c] = [newId<UserId>(), newId<UserId>(), newId<UserId>()];
  const order = (user_id: UserId, emoji: string): ReactionOrder => ({ id, room_id: room, user_id, emoji });
  const added = await log.addReaction([order(a, '👍'), order(b, '🎉'), order(b, '👍'), order(c, '👍')], AT);
  expect(told(added)).toEqual([
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 3],
  ]);
  const state = [
    { emoji: '👍', count: 3, user_ids: [c, b, a] },
    { emoji: '🎉', count: 1, user_ids: [b] },
  ];
  for (const outcome of added) expect(outcome).toMatchObject({ message: { rev: 5, reactions: state } });
  expect(told(await log.addReaction([order(a, '👍'), order(a, '🎉')], AT))).toEqual([
    [null, 3],
    [6, 2],
  ]);
  const removed = await log.removeReaction(
    [order(b, '👍'), order(a, '❌'), order(b, '🎉'), order(a, '🎉')],
    AT,
  );
  expect(told(removed)).toEqual([
    [7, 2],
    [null, 0],
    [8, 1],
    [9, 0],
  ]);
  expect(await reactionsOf(id)).toEqual([{ emoji: '👍', count: 2, user_ids: [c, a] }]);
  expect(told(await log.addReaction([order(b, '🎉')], AT))).toEqual([[10, 1]]);
  expect((await reactionsOf(id)).map(({ emoji }) => emoji)).toEqual(['👍', '🎉']);
  expect(await log.heads([room])).toEqual([{ room_id: room, head_seq: 1, head_rev: 10 }]);
});

test('the 51st kind is refused, also within one batch, and a kind that is given up makes room', async () => {
  const { room, ids } = await filled(2);
  const [id, other] = ids as [MessageId, MessageId];
  const order = (n: number, of = id): ReactionOrder => {
    return { id: of, room_id: room, user_id: user, emoji: emojiNumber(n) };
  };
  const many = Array.from({ length: 52 }, (_, i) => order(i));
  const outcomes = await log.addReaction([...many, order(0, other)], AT);
  expect(outcomes.map((outcome) => outcome === 'full')).toEqual([...many.map((_, i) => i >= 50), false]);
  expect(await reactionsOf(id)).toHaveLength(50);
  const second = { ...order(3), user_id: newId<UserId>() };
  expect(told(await log.addReaction([order(50), second, order(7)], AT))).toEqual([
    'full',
    [54, 2],
    [null, 1],
  ]);
  await log.removeReaction([order(9)], AT);
  expect(told(await log.addReaction([order(50), order(51)], AT))).toEqual([[56, 1], 'full']);
});

test('a tombstone takes no reactions and no pin, and has lost its own', async () => {
  const { room, ids } = await filled(2);
  const [id, other] = ids as [MessageId, MessageId];
  const at = { id, room_id: room, user_id: user };
  await log.addReaction([{ ...at, emoji: 'x' }], AT);
  await log.pin([at, { ...at, id: other }], AT);
  const [gone] = await log.delete([at], AT);
  expect(gone).toMatchObject({ rev: 6, message: { reactions: [], pinned: false } });
  expect(await log.addReaction([{ ...at, emoji: 'y' }], AT)).toEqual([null]);
  expect(await log.removeReaction([{ ...at, emoji: 'x' }], AT)).toEqual([null]);
  expect(await log.pin([at], AT)).toEqual([null]);
  expect(await log.unpin([at], AT)).toEqual([null]);
  expect((await pinsOf(db, room)).map((message) => message.id)).toEqual([other]);
  const rows = await db`
    select message_id from reactions where message_id = ${id}
    union all select message_id from reaction_counts where message_id = ${id}`;
  expect(rows).toEqual([]);
});

test('pins take revs, repeats none, and a room has at most 100', async () => {
  const { room, ids } = await filled(102);
  const order = (id: MessageId) => ({ id, room_id: room, user_id: user });
  const pinned = await log.pin(ids.slice(0, 99).map(order), AT);
  expect(told(pinned)).toEqual(pinned.map((_, i) => [103 + i, 0]));
  const more = await log.pin([must(ids[0]), ...ids.slice(99)].map(order), AT);
  expect(told(more)).toEqual([[null, 0], [202, 0], 'full', 'full']);
  expect((await pinsOf(db, room)).map(({ id }) => id)).toEqual(ids.slice(0, 100).reverse());
  expect(told(await log.unpin([order(must(ids[101])), order(must(ids[5]))], AT))).toEqual([
    [null, 0],
    [203, 0],
  ]);
  expect(told(await log.pin([order(must(ids[101]))], AT))).toEqual([[204, 0]]);
  expect((await pinsOf(db, room))[0]).toMatchObject({ id: ids[101], pinned: true });
});

test('a message with 100,000 reactions is read by at most 50 rows an emoji, and its count is exact', async () => {
  const { room, ids } = await filled(1);
  const [id] = ids as [MessageId];
  await db`
    insert into reactions (message_id, user_id, emoji, rev, created_at)
    select ${id}, gen_random_uuid(), '👍', n, now() from generate_series(2, 99999) n`;
  await db`insert into reaction_counts values (${id}, '👍', 99998, 2)`;
  await db`update messages set reaction_kinds = 1 where id = ${id}`;
  await db`analyze reactions`;
  const order = (user_id: UserId): ReactionOrder => ({ id, room_id: room, user_id, emoji: '👍' });
  await db`update room_heads set head_rev = 99999 where room_id = ${room}`;
  const [a, b] = [newId<UserId>(), newId<UserId>()];
  expect(told(await log.addReaction([order(a), order(b)], AT))).toEqual([
    [100_000, 99_999],
    [100_001, 100_000],
  ]);
  const [reaction] = await reactionsOf(id);
  expect(reaction).toMatchObject({ emoji: '👍', count: 100_000 });
  expect(must(reaction).user_ids).toHaveLength(50);
  expect(must(reaction).user_ids.slice(0, 2)).toEqual([b, a]);
  const [plan] = await db<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>`
    explain (analyze, format json) select ${messageColumns(db)}
    from messages m join users u on u.id = m.user_id where m.id = ${id}`;
  const scans = nodesOf(must(plan)['QUERY PLAN'][0].Plan).filter(
    (node) => node['Relation Name'] === 'reactions',
  );
  expect(scans.map((node) => [node['Index Name'], node['Actual Rows']])).toEqual([
    ['reactions_newest_idx', 50],
  ]);
});

test('no plan made while tables are small reads a whole table for each message', async () => {
  const empty = await createTestDatabase();
  const fresh = openDatabase(empty.url, 1, 'reactions-empty');
  await fresh`analyze`; // now they are known to be empty, where a scan looks cheapest
  const [plan] = await fresh<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>`
    explain (format json) select ${messageColumns(fresh)}
    from messages m join users u on u.id = m.user_id where m.room_id = ${newId()} order by m.seq_no limit 100`;
  const types = nodesOf(must(plan)['QUERY PLAN'][0].Plan).map((node) => node['Node Type']);
  expect(types).toContain('Limit');
  expect(types).not.toContain('Seq Scan');
  await fresh.end();
  await empty.drop();
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly Plans?: readonly PlanNode[];
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
}
function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

test('a thread counts its replies that are not deleted, and lists all by number', async () => {
  const { room, ids } = await filled(2);
  const [root, quiet] = ids as [MessageId, MessageId];
  const replies = Array.from({ length: 5 }, (_, i) => said(room, `reply ${i}`, { thread_root: root }));
  await log.insert([...replies.slice(0, 3), said(room, 'between')], AT);
  await log.insert(replies.slice(3), AT);
  await expect(log.insert([must(replies[0]), said(room, 'x', { thread_root: quiet })], AT)).rejects.toThrow();
  const count = async (id: MessageId) => must(await messageById(db, id)).message.thread_count;
  expect([await count(root), await count(quiet)]).toEqual([5, 0]);
  const gone = [1, 3].map((i) => ({ id: must(replies[i]).id, room_id: room, user_id: user }));
  await log.delete(gone, AT);
  await log.delete(gone, AT);
  await log.delete([{ id: root, room_id: room, user_id: user }], AT);
  expect(await count(root)).toBe(3);
  const listed = await thread(db, root, 0, 100);
  expect(listed.map(({ id, deleted_at }) => [id, deleted_at !== null])).toEqual(
    replies.map(({ id }, i) => [id, i === 1 || i === 3]),
  );
  expect((await thread(db, root, must(listed[1]).seq_no, 2)).map(({ id }) => id)).toEqual(
    replies.slice(2, 4).map(({ id }) => id),
  );
});

test('edits are listed latest first, at most 100, and none of a tombstone', async () => {
  const { room, ids } = await filled(1);
  const [id] = ids as [MessageId];
  for (let i = 1; i <= 102; i++) await log.edit([{ id, room_id: room, content: `v${i}` }], AT);
  const edits = await editsOf(db, id);
  expect(edits).toHaveLength(100);
  expect(edits[0]).toEqual({ rev: 103, content: 'v101', edited_at: AT.toISOString() });
  expect(edits.at(-1)?.rev).toBe(4);
  await log.delete([{ id, room_id: room, user_id: user }], AT);
  expect(await editsOf(db, id)).toEqual([]);
});

/** Files that these messages show in turn. */
async function attached(room_id: RoomId, ids: readonly MessageId[], count: number) {
  const files = Array.from({ length: count }, (_, i) => ({
    id: newId<AttachmentId>(),
    message_id: must(ids[i % ids.length]),
  }));
  for (const { id, message_id } of files) {
    await db`
      insert into attachments (id, room_id, user_id, message_id, state, storage_key, file_name, file_type, file_size)
      values (${id}, ${room_id}, ${user}, ${message_id}, 'attached', ${id}, 'a.txt', 'text/plain', 1)`;
  }
  return files;
}

test('files that leave a message are no edit of it, and what is gone already takes no rev', async () => {
  const { room, ids } = await filled(2);
  const [id, other] = ids as [MessageId, MessageId];
  const [a, b, c] = (await attached(room, [id], 3)).map((file) => file.id) as [
    AttachmentId,
    AttachmentId,
    AttachmentId,
  ];
  const order = { id, room_id: room, user_id: user };
  expect(told(await log.detach([{ ...order, attachment_ids: [a, b] }], AT))).toEqual([[3, 0]]);
  expect(told(await log.detach([{ ...order, attachment_ids: [a, b] }], AT))).toEqual([[null, 0]]);
  expect(told(await log.detach([{ ...order, id: other, attachment_ids: [c] }], AT))).toEqual([[null, 0]]);
  const { message } = must(await messageById(db, id));
  expect(message).toMatchObject({ rev: 3, content: 'text 1', edited: false, edited_at: null });
  expect([message.attachments.map((file) => file.id), message.updated_at]).toEqual([[c], AT.toISOString()]);
  const told3 = rebuildEvents(room, (await log.changesAfter(room, 2, 100)).changes).get(3);
  expect(told3).toMatchObject({ type: 'message_updated', message });
  await log.delete([order], AT);
  expect(told(await log.detach([{ ...order, attachment_ids: [c] }], AT))).toEqual([null]);
});

/** Numbers that look random and are the same in every run with the same seed. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const outline = (event: LogEvent) => {
  const { message, ...rest } = event;
  return { ...rest, id: message.id };
};

test.each([1, 2, 3])(
  'whatever several writers do at once, no rev is missing or twice, and each can be told again as it was (seed %i)',
  async (seed) => {
    const roll = dice(seed);
    const live: LogEvent[] = [];
    const reported: unknown[] = [];
    const writers: BatchWriter[] = [db, otherDb].map((pool) =>
      createBatchWriter(
        messageLog(pool),
        (events) => live.push(...events),
        (error) => reported.push(error),
      ),
    );
    const { room, ids } = await filled(3);
    const users = Array.from({ length: 8 }, () => newId<UserId>());
    const files = await attached(room, ids, 30);
    const decide = (target: { deleted: boolean }) => (target.deleted ? ('not_found' as const) : null);
    const answers: Promise<unknown>[] = [];
    for (let i = 0; i < 900; i++) {
      const writer = must(writers[roll(2)]);
      const id = must(ids[roll(ids.length)]);
      const at = { id, room_id: room, user_id: must(users[roll(8)]), emoji: emojiNumber(roll(4)) };
      const kind = roll(12);
      if (kind === 0) {
        const order = said(room, `text ${i}`, { thread_root: roll(2) === 0 ? id : null });
        answers.push(writer.send(order).then(() => ids.push(order.id)));
      } else if (kind === 1) answers.push(writer.change('edit', { ...at, content: `edit ${i}` }, decide));
      else if (kind === 2 && roll(4) === 0) answers.push(writer.change('delete', at, () => null));
      else if (kind <= 3) answers.push(writer.change('pin', at, decide));
      else if (kind === 4) answers.push(writer.change('unpin', at, decide));
      else if (kind === 5 && roll(2) === 0) {
        const { message_id, id: file } = must(files[roll(files.length)]); // some of them for the second time
        answers.push(writer.change('detach', { ...at, id: message_id, attachment_ids: [file] }, decide));
      } else answers.push(writer.change(roll(2) === 0 ? 'removeReaction' : 'addReaction', at, decide));
      if (roll(30) === 0) await answers.at(-1)?.catch(() => undefined); // ticks of many sizes
    }
    await within(Promise.allSettled(answers), 2 * DEADLINE_MS, 'the answers');
    for (const writer of writers) writer.close();
    expect(reported).toEqual([]);

    const { head, changes } = await log.changesAfter(room, 0, 10_000);
    const rebuilt = [...rebuildEvents(room, changes).values()].sort((a, b) => a.rev - b.rev);
    expect(rebuilt.map(({ rev }) => rev)).toEqual(
      Array.from({ length: must(head).head_rev }, (_, i) => i + 1),
    );
    const inOrder = live.sort((a, b) => a.rev - b.rev);
    expect(rebuilt.slice(3).map(outline)).toEqual(inOrder.map(outline)); // the first 3 were no writer's
    for (const from of [5, 40, 333]) {
      const later = rebuildEvents(room, (await log.changesAfter(room, from, 10_000)).changes);
      for (const event of rebuilt.slice(from)) expect(later.get(event.rev)).toEqual(event);
    }

    const messages = (await history(db, room, { cursor: null, limit: 10_000 })).reverse();
    expect(countFaults(messages)).toEqual([]);
    const latest = new Map(inOrder.map(({ message }) => [message.id, message]));
    for (const message of messages) {
      const seen = latest.get(message.id);
      if (seen !== undefined) expect({ ...seen, thread_count: 0 }).toEqual({ ...message, thread_count: 0 });
    }
    const [page] = await log.messagesAfter(
      [{ room_id: room, rev: 0, bytes: Number.MAX_SAFE_INTEGER }],
      10_000,
    );
    const synced = [...must(page).messages];
    expect(synced.sort((a, b) => a.seq_no - b.seq_no)).toEqual(messages);
    const pinned = messages.filter((message) => message.pinned).map(({ id }) => id);
    expect((await pinsOf(db, room)).map(({ id }) => id).sort()).toEqual(pinned.sort());
  },
);
