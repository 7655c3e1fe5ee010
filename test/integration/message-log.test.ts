import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { BadRow, DuplicateIds, LogUnavailable } from '../../src/rooms/log-errors-port.js';
import type { ChangeOutcome, MessageLog, NewMessage } from '../../src/rooms/ports.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { history, messageById, roomOf, seqOf } from '../../src/store/history.js';
import { joinStates } from '../../src/store/join-state.js';
import { messageLog } from '../../src/store/message-log.js';
import { advanceReadMarks } from '../../src/store/read-marks.js';
import { createTestDatabase, type TestDatabase, waitingForLocks } from '../helpers/database.js';
import { must, until } from '../helpers/deadline.js';

const AT = new Date('2026-01-02T03:04:05.678Z');
const LATER = new Date('2026-01-02T04:00:00.000Z');

let database: TestDatabase;
let db: Db;
let otherDb: Db;
let log: MessageLog;
let otherLog: MessageLog;
let user: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 4, 'log-test-a');
  otherDb = openDatabase(database.url, 4, 'log-test-b');
  log = messageLog(db);
  otherLog = messageLog(otherDb);
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
  await db`insert into room_members (room_id, user_id, role) values (${room}, ${user}, 'moderator')`;
  return room;
}

async function messagesAfter(room_id: RoomId, limit: number, bytes = 1_000_000) {
  return must((await log.messagesAfter([{ room_id, rev: 0, bytes }], limit))[0]);
}

async function deleteRoom(room: RoomId): Promise<void> {
  await db`update room_heads set closed = true where room_id = ${room}`;
  await db`update rooms set deleted_at = now() where id = ${room}`;
}

function said(room_id: RoomId, content: string, more: Partial<NewMessage> = {}): NewMessage {
  const body_hash = createHash('sha256').update(content).digest('hex');
  const id = newId<MessageId>();
  const rest = { metadata: null, mentions: [], reply_to: null, thread_root: null };
  return { id, room_id, user_id: user, content, body_hash, ...rest, ...more };
}

async function filled(count: number): Promise<{ room: RoomId; ids: MessageId[] }> {
  const room = await newRoom();
  const messages = Array.from({ length: count }, (_, i) => said(room, `text ${i + 1}`));
  await log.insert(messages, AT);
  return { room, ids: messages.map((message) => message.id) };
}

/** The rev of an order that changed something. */
function appliedRev(outcome: ChangeOutcome | undefined): number {
  if (outcome === undefined || outcome === null || outcome === 'full') throw new Error(`it is ${outcome}`);
  return must(outcome.rev);
}

async function head(room: RoomId): Promise<[seq: number, rev: number]> {
  const [found] = await log.heads([room]);
  return [must(found).head_seq, must(found).head_rev];
}

test('a message comes back as it was sent, whatever its characters', async () => {
  const room = await newRoom();
  const content = '"\\{},null 🙂 \r\n\t\' $1 NULL';
  const [root, plain] = [said(room, ''), said(room, 'null')];
  const full = said(room, content, {
    metadata: '{"a":["\\"",null]}',
    reply_to: root.id,
    thread_root: root.id,
  });
  expect(await log.insert([root, plain, full], AT)).toEqual(new Map([[room, { seq: 0, rev: 0 }]]));
  const found = must(await messageById(db, full.id));
  expect(found).toMatchObject({ room_id: room, room_type: 'public' });
  expect(found.message).toMatchObject({
    content,
    metadata: { a: ['"', null] },
    seq_no: 3,
    rev: 3,
    edited: false,
  });
  expect(found.message).toMatchObject({ reply_to: root.id, thread_root: root.id, username: 'ann' });
  expect(found.message).toMatchObject({ created_at: AT.toISOString(), updated_at: AT.toISOString() });
  const [known] = await log.known([full.id, newId()]);
  expect(known).toMatchObject({
    room_id: room,
    user_id: user,
    seq_no: 3,
    rev: 3,
    created_at: AT.toISOString(),
  });
  expect(must(known).body_hash).toBe(full.body_hash);
});

test('two nodes that write to the same rooms at once leave no gap and no deadlock', async () => {
  const rooms = await Promise.all(Array.from({ length: 5 }, newRoom));
  const expected = new Map<string, [RoomId, number]>(); // id: its room and seq
  const write = async (target: MessageLog, node: number) => {
    for (let round = 0; round < 40; round++) {
      const order = node % 2 === 0 ? rooms : [...rooms].reverse();
      const batch = order.flatMap((room, i) =>
        Array.from({ length: 1 + ((round + i) % 3) }, (_, k) => said(room, `${node}.${round}.${k}`)),
      );
      const bases = await target.insert(batch, AT);
      const used = new Map<RoomId, number>();
      for (const { id, room_id } of batch) {
        const ord = (used.get(room_id) ?? 0) + 1;
        used.set(room_id, ord);
        expected.set(id, [room_id, must(bases.get(room_id)).seq + ord]);
      }
      const edits = batch.slice(0, 3).map(({ id, room_id }) => ({ id, room_id, content: 'edited' }));
      expect((await target.edit(edits, LATER)).every((outcome) => outcome !== null)).toBe(true);
    }
  };
  await Promise.all([write(log, 0), write(otherLog, 1), write(log, 2), write(otherLog, 3)]);
  for (const room of rooms) {
    const own = [...expected].filter(([, [of]]) => of === room);
    const rows = await db<{ id: string; seq_no: number }[]>`
      select id, seq_no from messages where room_id = ${room} order by seq_no`;
    expect(rows.map((row) => row.seq_no)).toEqual(own.map((_, i) => i + 1));
    expect(rows.every((row) => expected.get(row.id)?.[1] === row.seq_no)).toBe(true);
    const revs = await db<{ rev: number }[]>`
      select created_rev as rev from messages where room_id = ${room}
      union all select e.rev from message_edits e join messages m on m.id = e.message_id
      where m.room_id = ${room} order by rev`;
    expect(revs.map((row) => row.rev)).toEqual(revs.map((_, i) => i + 1));
    expect(await head(room)).toEqual([rows.length, revs.length]);
  }
});

test('a batch with an id that exists inserts nothing and uses no number', async () => {
  const { room, ids } = await filled(2);
  const again = said(room, 'again', { id: must(ids[0]) });
  const twin = said(room, 'twin');
  await expect(log.insert([said(room, 'new'), again], AT)).rejects.toBeInstanceOf(DuplicateIds);
  await expect(log.insert([twin, twin], AT)).rejects.toBeInstanceOf(DuplicateIds);
  expect(await head(room)).toEqual([2, 2]);
  expect(await log.insert([twin], AT)).toEqual(new Map([[room, { seq: 2, rev: 2 }]]));
});

test('a value that PostgreSQL refuses leaves nothing behind', async () => {
  const { room, ids } = await filled(1);
  const bad = [
    said(room, 'a\u0000b'),
    said(room, '', { metadata: '{"a":"\\u0000"}' }),
    said(room, '', { metadata: '{' }),
    said(room, '', { metadata: JSON.stringify({ a: Array(4_000).fill(1) }) }), // jsonb's text adds spaces
  ];
  for (const message of bad) {
    await expect(log.insert([said(room, 'good'), message], AT)).rejects.toBeInstanceOf(BadRow);
  }
  const edit = { id: must(ids[0]), room_id: room, content: '\u0000' };
  await expect(log.edit([edit], LATER)).rejects.toBeInstanceOf(BadRow);
  expect(await head(room)).toEqual([1, 1]);
  expect(await history(db, room, { cursor: null, limit: 10 })).toHaveLength(1);
});

test('rooms that do not exist any more are missing, and so are their messages', async () => {
  const [open, { room: closed, ids }] = [await newRoom(), await filled(1)];
  const [id] = ids as [MessageId];
  await deleteRoom(closed);
  const lost = [said(closed, 'lost'), said(newId(), 'nowhere')];
  expect([...(await log.insert([...lost, said(open, 'kept')], AT)).keys()]).toEqual([open]);
  expect(await log.known(lost.map((message) => message.id))).toEqual([]);
  expect(await log.targets([id])).toEqual([]);
  expect(await log.edit([{ id, room_id: closed, content: 'x' }], LATER)).toEqual([null]);
  expect(await log.delete([{ id, room_id: closed, user_id: user }], LATER)).toEqual([null]);
  expect(await log.heads([closed, open])).toEqual([{ room_id: open, head_seq: 1, head_rev: 1 }]);
  expect(await log.changesAfter(closed, 0, 10)).toEqual({ head: null, changes: [] });
  expect(await messagesAfter(closed, 10)).toEqual({
    head: null,
    messages: [],
    more: false,
  });
  expect([await messageById(db, id), await roomOf(db, id)]).toEqual([null, null]);
});

test('a room that is closed while an insert waits for its lock takes none of its messages', async () => {
  const [closing, { room: open }] = [await newRoom(), await filled(1)];
  const late = [said(closing, 'too late'), said(open, 'in time')];
  const inserted = await otherDb.begin(async (tx) => {
    await tx`update room_heads set closed = true where room_id = ${closing}`;
    const inserting = log.insert(late, AT);
    await until(async () => (await waitingForLocks(db)) > 0, 'the insert waiting');
    return { inserting };
  });
  expect(await inserted.inserting).toEqual(new Map([[open, { seq: 1, rev: 1 }]]));
  expect((await log.known(late.map(({ id }) => id))).map(({ room_id }) => room_id)).toEqual([open]);
});

test('edits and deletions take revs in their order, and none where nothing changes', async () => {
  const { room, ids } = await filled(4);
  const [one, two, three] = ids as [MessageId, MessageId, MessageId];
  const elsewhere = await newRoom();
  const edited = await log.edit(
    [
      { id: three, room_id: room, content: 'new 3' },
      { id: two, room_id: room, content: 'text 2' },
      { id: newId(), room_id: room, content: 'stranger' },
      { id: must(ids[3]), room_id: elsewhere, content: 'wrong room' },
      { id: one, room_id: room, content: 'new 1' },
    ],
    LATER,
  );
  expect(edited).toMatchObject([
    { rev: 5, message: { id: three, rev: 5, content: 'new 3', edited: true } },
    { rev: null, message: { id: two, rev: 2, edited: false } },
    null,
    null,
    { rev: 6, message: { id: one, rev: 6, seq_no: 1, edited_at: LATER.toISOString() } },
  ]);

  const order = [two, one].map((id) => ({ id, room_id: room, user_id: user }));
  const tombstone = { rev: 8, content: '', deleted_at: LATER.toISOString(), edited_at: LATER.toISOString() };
  expect(await log.delete(order, LATER)).toMatchObject([
    { rev: 7, message: { id: two, rev: 7, content: '', edited_at: null } },
    { rev: 8, message: tombstone },
  ]);
  expect((await log.delete(order, LATER))[1]).toMatchObject({ rev: null, message: tombstone });
  expect(await log.edit([{ id: one, room_id: room, content: 'back' }], LATER)).toEqual([null]);
  expect(await head(room)).toEqual([4, 8]);
  expect(
    await db`select rev, content from message_edits where message_id = any (${ids}) order by rev`,
  ).toEqual([
    { rev: 5, content: 'text 3' },
    { rev: 6, content: '' },
  ]);
  expect(await log.targets([one, three])).toEqual(
    expect.arrayContaining([
      { id: one, room_id: room, user_id: user, deleted: true, author_role: 'moderator' },
      { id: three, room_id: room, user_id: user, deleted: false, author_role: 'moderator' },
    ]),
  );
});

test('an edit that waited for the lock of another takes the rev after it', async () => {
  const { room, ids } = await filled(1);
  const id = must(ids[0]);
  const logs = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? log : otherLog));
  const results = await Promise.all(
    logs.map((one, i) => one.edit([{ id, room_id: room, content: `v${i}` }], LATER)),
  );
  const revs = results.map(([outcome]) => appliedRev(outcome)).sort((a, b) => a - b);
  expect(revs).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
  expect(await head(room)).toEqual([1, 21]);
});

test('the changes after any rev name every later rev once', async () => {
  const { room, ids } = await filled(3);
  const edit = (i: number, content: string) =>
    log.edit([{ id: must(ids[i]), room_id: room, content }], LATER);
  await edit(0, 'a'); // 4
  await edit(1, 'b'); // 5
  await edit(0, 'c'); // 6
  await log.insert([said(room, 'text 4')], AT); // 7
  await log.delete([{ id: must(ids[0]), room_id: room, user_id: user }], LATER); // 8
  for (let rev = 0; rev <= 8; rev++) {
    const { head, changes } = await log.changesAfter(room, rev, 100);
    expect(head).toEqual({ room_id: room, head_seq: 4, head_rev: 8 });
    const latest = changes.map((change) => change.message.rev);
    expect(latest).toEqual([...latest].sort((a, b) => a - b));
    const revs = changes.flatMap(({ message, created_rev, edit_revs }) => [
      ...(created_rev > rev ? [created_rev] : []),
      ...edit_revs,
      ...(message.deleted_at === null ? [] : [message.rev]),
    ]);
    expect(revs.sort((a, b) => a - b)).toEqual(Array.from({ length: 8 - rev }, (_, i) => rev + 1 + i));
  }
  const { messages, more } = await messagesAfter(room, 2);
  expect([messages.map((message) => message.rev), more]).toEqual([[3, 5], true]);
  expect(await log.changesAfter(room, 0, 7)).toEqual({
    head: { room_id: room, head_seq: 4, head_rev: 8 },
    changes: [],
  });
});

test('a read of the log ends where its bytes do, with the message that reaches them', async () => {
  const { room } = await filled(3);
  await log.insert([said(room, '😀'.repeat(5_000)), said(room, 'text 5'), said(room, 'text 6')], AT);
  const read = async (bytes: number, limit = 10) => {
    const { head, messages, more } = await messagesAfter(room, limit, bytes);
    expect(head).toEqual({ room_id: room, head_seq: 6, head_rev: 6 });
    return [messages.map(({ rev }) => rev), more];
  };
  expect(await read(1)).toEqual([[1], true]);
  expect(await read(1_400)).toEqual([[1, 2], true]);
  expect(await read(20_000)).toEqual([[1, 2, 3, 4], true]);
  expect(await read(30_000)).toEqual([[1, 2, 3, 4, 5, 6], false]);
  expect(await read(30_000, 6)).toEqual([[1, 2, 3, 4, 5, 6], false]);
  expect(await read(30_000, 5)).toEqual([[1, 2, 3, 4, 5], true]);
});

test('a read of several rooms answers each, in the order asked for', async () => {
  const [one, two, gone] = [(await filled(3)).room, (await filled(2)).room, await newRoom()];
  await deleteRoom(gone);
  const asked = [
    { room_id: two, rev: 1, bytes: 1_000_000 },
    { room_id: gone, rev: 0, bytes: 1_000_000 },
    { room_id: one, rev: 0, bytes: 1 },
    { room_id: one, rev: 3, bytes: 1_000_000 },
    { room_id: two, rev: 0, bytes: 1_000_000 },
  ];
  const pages = await log.messagesAfter(asked, 10);
  expect(
    pages.map(({ head, messages, more }) => [head?.room_id, messages.map(({ rev }) => rev), more]),
  ).toEqual([
    [two, [2], false],
    [undefined, [], false],
    [one, [1], true],
    [one, [], false],
    [two, [1, 2], false],
  ]);
  expect(await log.messagesAfter([], 10)).toEqual([]);
});

test('pages of history stay full and come newest first', async () => {
  const { room, ids } = await filled(20);
  const page = async (kind: 'before' | 'after' | 'around', seq: number, limit: number) =>
    (await history(db, room, { cursor: { kind, seq }, limit })).map((message) => message.seq_no);
  expect((await history(db, room, { cursor: null, limit: 2 })).map((one) => one.seq_no)).toEqual([20, 19]);
  expect(await page('before', 10, 3)).toEqual([9, 8, 7]);
  expect(await page('before', 1, 3)).toEqual([]);
  expect(await page('after', 10, 3)).toEqual([13, 12, 11]);
  expect(await page('after', 19, 3)).toEqual([20]);
  expect(await page('after', 20, 3)).toEqual([]);
  expect(await page('around', 10, 5)).toEqual([12, 11, 10, 9, 8]);
  expect(await page('around', 10, 1)).toEqual([10]);
  expect(await page('around', 1, 5)).toEqual([5, 4, 3, 2, 1]);
  expect(await page('around', 20, 5)).toEqual([20, 19, 18, 17, 16]);
  expect(await seqOf(db, room, must(ids[6]))).toBe(7);
  expect(await seqOf(db, await newRoom(), must(ids[6]))).toBeNull();
  expect(await roomOf(db, must(ids[6]))).toBe(room);
});

test('read marks only move forward, up to the head', async () => {
  const { room } = await filled(5);
  const read = async (...seqs: number[]) => {
    const marks = seqs.map((seq_no) => ({ room_id: room, user_id: user, seq_no }));
    await advanceReadMarks(db, [...marks, { room_id: room, user_id: newId<UserId>(), seq_no: 1 }]);
    return must((await joinStates(db, [{ user_id: user, room_id: room }]))[0]).last_read_seq;
  };
  expect([await read(1, 3, 2), await read(2), await read(99), await read(4)]).toEqual([3, 3, 5, 5]);
});

test('join states come in the order asked for, with null for what is not there', async () => {
  const [{ room }, gone] = [await filled(3), await newRoom()];
  await deleteRoom(gone);
  const state = {
    room_id: room,
    room_type: 'public',
    member_count: 0,
    last_read_seq: 0,
    head_seq: 3,
    head_rev: 3,
  };
  const asked = [gone, room, newId<RoomId>(), room].map((room_id) => ({ user_id: user, room_id }));
  const stranger = { user_id: newId<UserId>(), room_id: room };
  expect(await joinStates(db, [...asked, stranger])).toEqual([
    null,
    { ...state, role: 'moderator', joined_ms: expect.any(Number) },
    null,
    { ...state, role: 'moderator', joined_ms: expect.any(Number) },
    { ...state, role: null, joined_ms: 0 },
  ]);
});

test('a database that is away is LogUnavailable', async () => {
  const away = openDatabase('postgres://x@127.0.0.1:1/x', 1, 'log-test-away');
  await expect(messageLog(away).heads([newId()])).rejects.toBeInstanceOf(LogUnavailable);
  await expect(
    messageLog(away).delete([{ id: newId(), room_id: newId(), user_id: user }], AT),
  ).rejects.toBeInstanceOf(LogUnavailable);
  await away.end({ timeout: 0 });
});
