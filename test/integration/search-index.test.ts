import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MessageId, newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { messageLog } from '../../src/store/message-log.js';
import { messageSearch } from '../../src/store/message-search.js';
import { migrateDown, migrateUp } from '../../src/store/migrations.js';
import { roomsBehind, writeWords } from '../../src/store/search-index.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';

let database: TestDatabase;
let db: Db;
let author: UserId;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 6, 'search-index');
  author = newId<UserId>();
  await db`insert into users (id, username, email, password_hash) values (${author}, 'author', 'a@x.io', '')`;
});

afterAll(async () => {
  await db.end();
  await database.drop();
});

async function newRooms(count: number): Promise<RoomId[]> {
  const ids = Array.from({ length: count }, () => newId<RoomId>());
  await db`insert into rooms (id, name, type) select id, 'room', 'public' from unnest(${ids}::uuid[]) as new (id)`;
  await db`insert into room_heads (room_id) select unnest(${ids}::uuid[])`;
  return ids;
}

/** Writes messages as the log does, and gives their ids. */
async function send(room_id: RoomId, contents: readonly string[]): Promise<MessageId[]> {
  const messages = contents.map((content) => ({
    id: newId<MessageId>(),
    room_id,
    user_id: author,
    content,
    metadata: null,
    reply_to: null,
    thread_root: null,
    mentions: [],
    body_hash: randomBytes(32).toString('hex'),
  }));
  await messageLog(db).insert(messages, new Date());
  return messages.map(({ id }) => id);
}

async function indexed(room_id: RoomId): Promise<number> {
  const [row] = await db<{ indexed_seq: number }[]>`
    select indexed_seq from search_progress where room_id = ${room_id}`;
  return must(row).indexed_seq;
}

/** Messages whose words aren't those that their content has. */
async function wrong(): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*)::int from messages m
    join search_progress p on p.room_id = m.room_id and m.seq_no <= p.indexed_seq
    left join message_words w on w.room_id = m.room_id and w.seq_no = m.seq_no
    where w.search is distinct from searched_words(m.room_id, m.seq_no, m.content, m.deleted_at)`;
  return must(row).count;
}

test('words are written of the oldest first, so many at a time, and what is left is told', async () => {
  const [room, empty] = await newRooms(2);
  await send(must(room), ['one', 'two', 'three']);
  const rooms = [must(room), must(empty)];
  const left = async () =>
    new Map((await writeWords(db, rooms, 2)).map(({ room_id, behind }) => [room_id, behind]));
  expect(await left()).toEqual(new Map([[room, 1], [empty, 0]])); // biome-ignore format: a table
  expect(await indexed(must(room))).toBe(2);
  expect(await roomsBehind(db, 10)).toEqual([{ room_id: room, behind: 1 }]);
  expect(await left()).toEqual(new Map([[room, 0], [empty, 0]])); // biome-ignore format: a table
  expect(await roomsBehind(db, 10)).toEqual([]);
  expect(await wrong()).toBe(0);
});

test('a room that another has is left to it, and nobody waits', async () => {
  const [room, other] = await newRooms(2);
  await send(must(room), ['one']);
  await send(must(other), ['one']);
  await db.begin(async (tx) => {
    await tx`select from search_progress where room_id = ${must(room)} for update`;
    const written = await writeWords(db, [must(room), must(other)], 10);
    expect(written).toEqual([{ room_id: other, behind: 0 }]);
  });
  expect(await writeWords(db, [must(room)], 10)).toEqual([{ room_id: room, behind: 0 }]);
});

test('whatever is sent, edited and deleted while several write words, the words are those of the contents', {
  timeout: 60_000,
}, async () => {
  const rooms = await newRooms(5);
  const log = messageLog(db);
  const any = <T>(values: readonly T[]): T => must(values[Math.floor(Math.random() * values.length)]);
  const sent: { id: MessageId; room_id: RoomId }[] = [];
  let changing = true;
  const senders = [1, 2].map(async () => {
    for (let round = 0; round < 150; round++) {
      const room_id = any(rooms);
      const ids = await send(room_id, [`first ${round}`, `second ${round}`]);
      sent.push(...ids.map((id) => ({ id, room_id })));
      const orders = [...new Set([any(sent), any(sent), any(sent.slice(-2))])];
      if (round % 5 === 0) {
        await log.delete(
          orders.map((order) => ({ ...order, user_id: author })),
          new Date(),
        );
      } else {
        await log.edit(
          orders.map((order) => ({ ...order, content: `edited ${round}` })) as never,
          new Date(),
        );
      }
    }
  });
  const writers = [1, 2, 3].map(async () => {
    while (changing)
      await writeWords(
        db,
        rooms.toSorted(() => Math.random() - 0.5),
        7,
      );
  });
  await Promise.all(senders);
  changing = false;
  await Promise.all(writers);
  while ((await writeWords(db, rooms, 1_000)).some(({ behind }) => behind > 0));
  expect(await wrong()).toBe(0);
  const [row] = await db<{ words: number }[]>`
    select count(*)::int as words from message_words where room_id = any (${rooms}::uuid[])`;
  expect(row?.words).toBe(600);
});

test('what was written before the words had a table of their own is found, and so is all after the way back', async () => {
  const [room] = await newRooms(1);
  await send(must(room), ['kiwi before']);
  const search = messageSearch(db);
  const found = async () => {
    const query = await search.parse(must(room), 'kiwi');
    const { hits } = await search.find(must(room), query, { before: query.head_seq + 1, limit: 10 });
    return hits.map(({ message }) => message.content);
  };
  while (!(await migrateDown(database.url, { all: false })).changed.includes('000019_index_words_behind'));
  const [column] = await db<
    { words: string }[]
  >`select search::text as words from messages where room_id = ${must(room)}`;
  expect(column?.words).toContain("'kiwi'");
  await migrateUp(database.url);
  expect(await found()).toEqual(['kiwi before']);
  expect((await roomsBehind(db, 100)).map(({ room_id }) => room_id)).toContain(room);
  await send(must(room), ['kiwi after']);
  await writeWords(db, [must(room)], 1);
  expect(await found()).toEqual(['kiwi after', 'kiwi before']);
  const [later] = await newRooms(1);
  expect(await indexed(must(later))).toBe(0);
});
