import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Db, openDatabase, openToolDatabase } from '../../src/store/client.js';
import { timestampOf } from '../../src/store/message-rows.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;

/** A database whose own zone is a quarter of an hour off every clock that a shortcut might expect. */
beforeAll(async () => {
  database = await createTestDatabase();
  const admin = openToolDatabase(database.url, 'timestamps');
  const [row] = await admin<{ name: string }[]>`select current_database() as name`;
  await admin`alter database ${admin(row?.name ?? '')} set timezone = 'Asia/Kathmandu'`;
  await admin.end();
});
afterAll(() => database.drop());

interface Read {
  readonly text: string;
  readonly date: Date;
}

/** Times of all lengths, from this year and from the ends of what PostgreSQL and JavaScript both know of four digits. */
const read = (db: Db) => db<Read[]>`
  select t::text as text, t as date from (
    select now() + n * interval '7919.123457 s' as t from generate_series(1, 500) n
    union all select date_trunc('second', now()) + n * interval '1 ms' from generate_series(0, 999) n
    union all values ('1000-01-01 00:00:00+00'::timestamptz), ('9999-12-31 23:59:59.999999+00'), ('12026-01-01 00:00:00.5+00')
  ) as times (t)`;

test.each([
  ['the server', openDatabase],
  ['the command line', (url: string) => openToolDatabase(url, 'times')],
])('a time reads in %s as the date that it is, in UTC', async (name, open) => {
  const db = open(database.url, 1, name);
  const rows = await read(db);
  await db.end();
  expect(rows).toHaveLength(1_503);
  for (const { text, date } of rows) {
    expect(text).toMatch(/\+00$/);
    expect(timestampOf(text)).toBe(date.toISOString());
  }
});

test('a time in another zone reads as the same moment', () => {
  expect(timestampOf('2026-11-29 23:26:35.25+05:45')).toBe('2026-11-29T17:41:35.250Z');
  expect(timestampOf('2026-11-29 17:41:35+00')).toBe('2026-11-29T17:41:35.000Z');
});
