import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Message } from '../../src/protocol/model.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { history, messageById } from '../../src/store/history.js';
import { messageLog } from '../../src/store/message-log.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';

const AT = '2026-01-02T03:04:05.678Z';
const LATER = '2026-01-02T04:00:00.000Z';
const [USER, OTHER, ROOM] = [newId<UserId>(), newId<UserId>(), newId<RoomId>()];
const ELSEWHERE = newId<MessageId>();

let database: TestDatabase;
let db: Db;
let last = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 2, 'message-rows');
  await db`insert into users (id, username, email, password_hash) values (${USER}, 'ann', 'ann@x.test', '')`;
  await db`insert into rooms (id, type, name) values (${ROOM}, 'public', 'room')`;
  await db`insert into room_heads (room_id, head_seq, head_rev) values (${ROOM}, 1000, 1000)`;
});

afterAll(async () => {
  await db.end();
  await database.drop();
});

type Columns = Readonly<Record<string, unknown>>;

/** Puts a row into the table as it would be without any of `columns`. @returns the message as it is shown then */
async function rowWith(columns: Columns): Promise<{ id: MessageId; plain: Message }> {
  const id = newId<MessageId>();
  const number = ++last;
  await db`insert into messages ${db({
    ...{
      id,
      room_id: ROOM,
      user_id: USER,
      seq_no: number,
      rev: number,
      created_rev: number,
      content: 'hello',
    },
    ...{ body_hash: Buffer.alloc(32), created_at: AT, updated_at: AT },
    ...columns,
  } as never)}`;
  const plain: Message = {
    ...{ id, room_id: ROOM, user_id: USER, username: 'ann', seq_no: number, rev: number, type: 'text' },
    ...{ content: 'hello', metadata: {}, mentions: [], reply_to: null, thread_root: null, thread_count: 0 },
    ...{ edited: false, edited_at: null, pinned: false, reactions: [], attachments: [] },
    ...{ created_at: AT, updated_at: AT, deleted_at: null },
  };
  return { id, plain };
}

const deleted = { deleted_at: LATER, updated_at: LATER };
const rows: readonly (readonly [what: string, columns: Columns, shown: Partial<Message>])[] = [
  ['a message with nothing but its content', {}, {}],
  ['metadata', { metadata: { a: [1.5, null], b: 'x' } }, { metadata: { a: [1.5, null], b: 'x' } }],
  ['empty metadata', { metadata: {} }, {}],
  ['mentions', { mentions: [OTHER, USER] }, { mentions: [OTHER, USER] }],
  ['an answer', { reply_to: ELSEWHERE }, { reply_to: ELSEWHERE }],
  ['a message of a thread', { thread_root: ELSEWHERE }, { thread_root: ELSEWHERE }],
  [
    'an edited message',
    { edited_at: LATER, updated_at: LATER },
    { edited: true, edited_at: LATER, updated_at: LATER },
  ],
  ['a message that a file has left', { updated_at: LATER }, { updated_at: LATER }],
  ['a pinned message', { pinned: true }, { pinned: true }],
  ['a message of the system', { type: 'system' }, { type: 'system' }],
  ['a tombstone', { content: '', ...deleted }, { content: '', ...deleted }],
  [
    'a tombstone whose row still holds what it had',
    {
      ...{ metadata: { a: 1 }, mentions: [OTHER], reply_to: ELSEWHERE, pinned: true, reaction_kinds: 1 },
      ...deleted,
    },
    { content: '', reply_to: ELSEWHERE, ...deleted },
  ],
];

test.each(rows)('%s is shown whole, wherever it is read', async (_what, columns, shown) => {
  const { id, plain } = await rowWith(columns);
  const expected = { ...plain, ...shown };
  expect((await messageById(db, id))?.message).toEqual(expected);
  expect(await history(db, ROOM, { cursor: null, limit: 1 })).toEqual([expected]);
  const [after] = await messageLog(db).messagesAfter([{ room_id: ROOM, rev: last - 1, bytes: 100_000 }], 10);
  expect(must(after).messages).toEqual([expected]);
});

test('reactions and the count of a thread stand in tables of their own', async () => {
  const { id, plain } = await rowWith({ reaction_kinds: 1 });
  await db`insert into reaction_counts (message_id, emoji, count, first_rev) values (${id}, '👍', 2, 1)`;
  await db`
    insert into reactions (message_id, user_id, emoji, rev, created_at)
    values (${id}, ${USER}, '👍', 1, ${AT}), (${id}, ${OTHER}, '👍', 2, ${AT})`;
  await db`insert into thread_counts (root_id, count) values (${id}, 3)`;
  expect((await messageById(db, id))?.message).toEqual({
    ...plain,
    thread_count: 3,
    reactions: [{ emoji: '👍', count: 2, user_ids: [OTHER, USER] }],
  });
});
