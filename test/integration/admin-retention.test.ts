import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { sweepRetention } from '../../src/store/retention.js';
import { admin, runAdmin } from '../helpers/admin.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { until } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { enter } from '../helpers/signals.js';

const SWEPT_WITHIN_MS = 30_000; // a rule is looked for every ten seconds, and a change that nobody tells of as often
const NEVER = () => false;

/** Makes the first messages of a room so many days old. */
const age = (sql: postgres.Sql, room: string, upTo: number, days: number) => sql`
  update messages set created_at = created_at - ${days} * interval '1 day'
  where room_id = ${room} and seq_no <= ${upTo}`;

describe('retention, on two nodes', { timeout: 90_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'parley-admin-'));
  let nodes: Nodes;
  let url: string;
  let sql: postgres.Sql;
  let rest: Rest;
  let ann: Account;

  beforeAll(async () => {
    nodes = await startNodes([{ SHARDS: '1' }, { SHARDS: '1' }]);
    url = nodes.database.url;
    sql = postgres(url, { max: 1 });
    rest = restClient(nodes.node(0).url);
    ann = await newAccount(rest, 'ann');
  });
  afterAll(async () => {
    await sql?.end();
    await nodes?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function roomWith(messages: number): Promise<string> {
    const { id } = await newRoom(rest, ann);
    for (let i = 1; i <= messages; i++) {
      dataOf(await rest.send(ann.token, id, { content: `message ${i}`, metadata: { i } }));
    }
    return id;
  }
  const history = (room: string) => wholeHistory(restClient(nodes.node(1).url), ann.token, room);
  const deletedOf = (messages: readonly Message[]) =>
    messages.filter(({ deleted_at }) => deleted_at !== null).map(({ seq_no }) => seq_no);

  test('old messages become tombstones that members see; numbers and revs go on without a gap', async () => {
    const [room, other] = [await roomWith(8), await roomWith(2)];
    await age(sql, room, 5, 40);
    await age(sql, other, 2, 40);
    const before = await history(room);
    const ear = await enter(nodes.node(1).wsUrl, ann, room);

    await admin(url, 'retain', room, '30');
    expect(await admin(url, 'retention')).toEqual([expect.stringMatching(`^${room} 30 since `)]);
    await until(() => ear.heard('message_deleted', room).length === 5, 'the deletions', SWEPT_WITHIN_MS);
    expect((ear.streams.get(room) ?? []).map(({ rev }) => rev)).toEqual([9, 10, 11, 12, 13]);
    const after = await history(room);
    expect(deletedOf(after)).toEqual([1, 2, 3, 4, 5]);
    expect(after.map(({ seq_no, id }) => [seq_no, id])).toEqual(before.map(({ seq_no, id }) => [seq_no, id]));
    for (const { content, metadata } of after.slice(0, 5)) expect([content, metadata]).toEqual(['', {}]);
    expect(after.slice(5)).toEqual(before.slice(5));
    const joined = await ear.ask<{ messages: Message[]; head_rev: number }>('join_room', { since: 8 }, room);
    expect([joined.head_rev, joined.messages]).toEqual([13, after.slice(0, 5)]);
    const next = dataOf(await rest.send(ann.token, room, { content: 'next' }));
    expect([next.seq_no, next.rev]).toEqual([9, 14]);
    expect(deletedOf(await history(other))).toEqual([]);
    const [kept] = await sql`select count(*)::int as count from audit_log where room_id = ${room}`;
    expect(kept?.count).toBe(0);
    await ear.close();
  });

  test('a rule for all goes for rooms without one of their own, until it is forgotten', async () => {
    const [own, other] = [await roomWith(3), await roomWith(3)];
    await age(sql, own, 2, 40);
    await age(sql, other, 2, 40);
    await admin(url, 'retain', own, '50');
    await admin(url, 'retain', '--all', '30');
    await until(async () => deletedOf(await history(other)).length === 2, 'the deletions', SWEPT_WITHIN_MS);
    expect(deletedOf(await history(own))).toEqual([]);
    await admin(url, 'forget', '--all');
    expect((await admin(url, 'retention')).join('\n')).not.toContain('--all');
    const log = await admin(url, 'audit');
    expect(log[0]).toMatch(/ operator forget - \{\}$/);
    expect(log[1]).toMatch(/ operator retain - \{"days": ?30\}$/);
  });

  test('an exported room has all its messages in order', async () => {
    const room = await roomWith(3);
    const [first] = await history(room);
    dataOf(await rest.delete(`/messages/${first?.id}`, ann.token));
    const path = join(dir, 'room.jsonl');
    expect(await admin(url, 'export-room', room, path)).toEqual([
      `room ${room} and 3 messages are in ${path}`,
    ]);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const [head, ...messages] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(head).toMatchObject({ record: 'room', id: room, head_seq: 3, head_rev: 4, type: 'public' });
    expect(messages.map(({ record, ...message }) => message)).toEqual(await history(room));
    expect(messages.map(({ content }) => content)).toEqual(['', 'message 2', 'message 3']);
  });

  test.each([
    [64, ['retain', '--all', '0'], 'DAYS takes a whole number from 1 to 36,500'],
    [64, ['retain', '30'], 'retain takes ROOM|--all DAYS'],
    [1, ['retain', 'lobby', '30'], 'there is no room "lobby"'],
    [1, ['forget', '--all'], 'there is no rule for rooms without a rule of their own'],
    [1, ['export-room', '00000000-0000-4000-8000-000000000000', '/nowhere/file'], 'there is no room'],
  ])('exit code %i for %j', async (code, args, line) => {
    const run = await runAdmin(url, ...args);
    expect(run.code).toBe(code);
    expect(run.lines[0]).toContain(line);
  });
});

describe('a sweep', { timeout: 60_000 }, () => {
  const MESSAGES = 1_000;
  const ROOMS = 3;
  let database: TestDatabase;
  let db: Db;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.url, 4, 'test-retention');
    sql = postgres(database.url, { max: 1 });
    // Rooms that are deleted too: their messages are blanked all the same.
    await sql`insert into users (id, username, email, password_hash) values (gen_random_uuid(), 'ann', 'a@x.io', '')`;
    await sql`
      with made as (
        insert into rooms (id, type, name) select gen_random_uuid(), 'public', 'room ' || i
        from generate_series(1, ${ROOMS}) i returning id, name
      )
      insert into room_heads (room_id, head_seq, head_rev, closed)
      select id, ${MESSAGES}, ${MESSAGES}, name = 'room 1' from made`;
    await sql`
      insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, body_hash, created_at, updated_at)
      select gen_random_uuid(), h.room_id, u.id, i, i, i, 'message ' || i, '', now() - interval '40 days', now()
      from room_heads h, users u, generate_series(1, ${MESSAGES}) i`;
    await sql`insert into retention_rules (room_id, days) values (null, 30)`;
  });
  afterAll(async () => {
    await Promise.all([db?.end(), sql?.end()]);
    await database?.drop();
  });

  const due = () => sql`update retention_sweep set due_at = now()`;
  const left = async () =>
    (await sql<{ count: number }[]>`select count(*)::int from messages where content <> ''`)[0]?.count;

  test('goes on where another was interrupted, and two at once delete each message once', async () => {
    let steps = 0;
    const first = await sweepRetention(db, () => ++steps > 4);
    expect(first).toBeGreaterThan(0);
    expect(await left()).toBe(ROOMS * MESSAGES - first);
    expect(await sweepRetention(db, NEVER)).toBe(0); // the lease of the one that stopped

    await due();
    const second = sweepRetention(db, NEVER);
    await until(async () => ((await left()) ?? 0) < ROOMS * MESSAGES - first, 'a second sweep under way');
    await due(); // as if its lease had ended
    const third = sweepRetention(db, NEVER);
    const counts = await Promise.all([second, third]);
    if (((await left()) ?? 0) > 0) counts.push(await due().then(() => sweepRetention(db, NEVER)));
    expect(await left()).toBe(0);

    const rooms = await sql`
      select h.closed, h.head_seq::int, h.head_rev::int, count(*)::int, count(distinct m.rev)::int as revs,
        min(m.rev)::int as lowest, max(m.rev)::int as highest
      from room_heads h join messages m using (room_id) group by h.room_id order by h.closed`;
    const open = {
      closed: false,
      head_seq: MESSAGES,
      head_rev: 2 * MESSAGES,
      count: MESSAGES,
      revs: MESSAGES,
    };
    const tombstones = { ...open, lowest: MESSAGES + 1, highest: 2 * MESSAGES };
    const untouched = { closed: true, head_rev: MESSAGES, lowest: 1, highest: MESSAGES };
    expect([...rooms]).toEqual([tombstones, tombstones, { ...open, ...untouched }]);
  });
});
