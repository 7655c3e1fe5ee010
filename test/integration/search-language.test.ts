import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { writeAllWords } from '../../bench/search/fill.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { lookUp, messageSearch, WALK_MAX } from '../../src/store/message-search.js';
import { migrateDown, migrateUp } from '../../src/store/migrations.js';
import { writeWords } from '../../src/store/search-index.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';
import { spawnServer } from '../helpers/server-process.js';

const SEGMENT = 8_192; // of migration 000019

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, 2, 'search-language');
});

afterAll(async () => {
  await db.end();
  await database.drop();
});

/** A room whose messages say `filler`, but for those given by their number. */
async function roomOf(into: Db, size: number, contents: Readonly<Record<number, string>>): Promise<RoomId> {
  const [room_id, author] = [newId<RoomId>(), newId<UserId>()];
  const name = `u${randomBytes(6).toString('hex')}`;
  await into`
    insert into users (id, username, email, password_hash) values (${author}, ${name}, ${`${name}@x.io`}, '')`;
  await into`insert into rooms (id, name, type) values (${room_id}, 'room', 'public')`;
  await into`insert into room_heads (room_id, head_seq, head_rev) values (${room_id}, ${size}, ${size})`;
  await into`
    insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, body_hash, created_at, updated_at)
    select gen_random_uuid(), ${room_id}::uuid, ${author}::uuid, n, n, n,
      coalesce(${into.json(contents)}::jsonb ->> n::text, 'filler'), '', now(), now()
    from generate_series(1, ${size}::int) n`;
  return room_id;
}

async function found(into: Db, room_id: RoomId, q: string, before?: number, limit = 100): Promise<number[]> {
  const search = messageSearch(into);
  const query = await search.parse(room_id, q);
  const numbers: number[] = [];
  let below: number | null = before ?? query.head_seq + 1;
  while (below !== null && numbers.length < limit) {
    const { hits, reached } = await search.find(room_id, query, {
      before: below,
      limit: limit - numbers.length,
    });
    numbers.push(...hits.map(({ message }) => message.seq_no));
    below = reached;
  }
  return numbers;
}

describe('a search', () => {
  test('finds what lies behind the newest messages and in every segment of a room, in order', async () => {
    const numbers = [1, 2, SEGMENT - 1, SEGMENT, SEGMENT + 1, SEGMENT + WALK_MAX, SEGMENT + 2 * WALK_MAX];
    const size = must(numbers.at(-1)) + 1;
    const room_id = await roomOf(db, size, Object.fromEntries(numbers.map((n) => [n, 'rare word'])));
    const newestFirst = numbers.toReversed();
    expect(await found(db, room_id, 'rare')).toEqual(newestFirst);
    await writeWords(db, [room_id], SEGMENT);
    expect(await found(db, room_id, 'rare')).toEqual(newestFirst);
    await writeAllWords(db);
    expect(await found(db, room_id, 'rare')).toEqual(newestFirst);
    for (const [i, before] of newestFirst.entries()) {
      expect(await found(db, room_id, '"rare word"', before)).toEqual(newestFirst.slice(i + 1));
      expect(await found(db, room_id, 'rare', before, 2)).toEqual(newestFirst.slice(i + 1, i + 3));
    }
    expect(await found(db, room_id, '-filler')).toEqual(newestFirst);
  });

  test('reads old messages by the index of words alone', async () => {
    const room_id = await roomOf(db, 10, { 5: 'rare' });
    const plan = await db.begin(async (tx) => {
      await tx`set local enable_seqscan = off`;
      return tx<Record<string, string>[]>`
        explain (costs off) ${lookUp(tx, { room_id, query: "'rare'", before: 11, limit: 5, bottom: 0 })}`;
    });
    const text = plan.map((row) => row['QUERY PLAN']).join('\n');
    expect(text).toMatch(
      /Bitmap Index Scan on message_words_search_idx\s+Index Cond: .*segment.* AND .*rare/,
    );
    expect(text).not.toContain('Seq Scan');
  });
});

describe('SEARCH_LANGUAGE', () => {
  const search = (language: string) => migrateUp(database.url, { searchLanguage: language });

  test('changes what is found, of old and new messages alike, and can be changed back', async () => {
    const room_id = await roomOf(db, 2, { 1: 'she was running', 2: 'running the café' });
    await writeAllWords(db);
    expect(await found(db, room_id, 'run')).toEqual([]);
    expect((await search('english')).changed).toEqual(['search_language=english']);
    expect((await search('english')).changed).toEqual([]);
    expect(await found(db, room_id, 'run')).toEqual([2, 1]);
    await writeAllWords(db);
    expect(await found(db, room_id, 'run')).toEqual([2, 1]);
    expect(await found(db, room_id, 'cafes')).toEqual([2]);
    expect(await found(db, room_id, 'the')).toEqual([]);
    expect(await found(db, await roomOf(db, 1, { 1: 'it runs' }), 'running')).toEqual([1]);
    expect((await search('simple')).changed).toEqual(['search_language=simple']);
    expect(await found(db, room_id, 'run')).toEqual([]);
    expect(await found(db, room_id, 'the')).toEqual([2]);
  });

  test('that PostgreSQL does not know is refused in one line that names those it does', async () => {
    await expect(search('klingon')).rejects.toThrow(
      /^SEARCH_LANGUAGE: "klingon" is not allowed; this PostgreSQL has: .*german.*simple/,
    );
    await expect(search('parley')).rejects.toThrow('SEARCH_LANGUAGE');
    const server = await spawnServer({ DATABASE_URL: database.url, SEARCH_LANGUAGE: 'klingon' });
    expect((await server.exit).code).toBe(78);
    expect(server.lines.filter((line) => line.startsWith('SEARCH_LANGUAGE:'))).toHaveLength(1);
  });
});

describe('without the extension unaccent', () => {
  const name = `parley_plain_${randomBytes(4).toString('hex')}`;
  const admin = postgres(inject('adminUrl'), { max: 1, onnotice: () => undefined });
  const as = (role: string, file: string): string => {
    const url = new URL(inject('adminUrl'));
    url.username = role;
    url.pathname = `/${file}`;
    return url.href;
  };

  afterAll(async () => {
    await admin`drop database if exists ${admin(name)} with (force)`;
    await admin`drop role if exists ${admin(name)}`;
    await admin.end();
  });

  test('migrations run all the same, up and down, and accents count', async () => {
    await admin`create role ${admin(name)} login`;
    await admin`create database ${admin(name)}`; // owned by another, who alone may bring extensions
    const owner = postgres(as('parley', name), { max: 1 });
    await owner`grant create on schema public to ${owner(name)}`;
    await owner.end();
    const url = as(name, name);
    await migrateUp(url, { searchLanguage: 'german' });
    const plain = openDatabase(url, 1, 'search-plain');
    const room_id = await roomOf(plain, 2, { 1: 'café', 2: 'Häuser' });
    expect(await found(plain, room_id, 'cafe')).toEqual([]);
    expect(await found(plain, room_id, 'café')).toEqual([1]);
    expect(await found(plain, room_id, 'haus')).toEqual([2]);
    await plain.end();
    await migrateDown(url, { all: true });
  });
});
