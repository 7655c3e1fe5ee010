import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Room, User } from '../../src/protocol/model.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { must } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  type Rest,
  type RestAnswer,
  restClient,
} from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

let rest: Rest;
let db: Db;
let anna: Account;

beforeAll(async () => {
  const server = await startServerWithDatabase();
  rest = restClient(server.url);
  db = openDatabase(server.database.url, 1, 'discovery-rest');
  anna = await newAccount(rest);
});

afterAll(() => db.end());

const register = async (username: string): Promise<string> =>
  dataOf(await rest.register({ username, email: `${username}@example.org`, password: 'password of tests' }))
    .user.id;

async function users(q: string, limit?: number): Promise<User[]> {
  const query = { q, ...(limit === undefined ? {} : { limit }) };
  return dataOf(await rest.get<User[]>('/users/search', anna.token, query));
}

const discover = (query: Readonly<Record<string, string | number>>): Promise<RestAnswer<Room[]>> =>
  rest.get<Room[]>('/rooms/discover', anna.token, query);

async function discovered(q: string): Promise<(string | null)[]> {
  return dataOf(await discover({ q })).map(({ name }) => name);
}

async function publicRoom(name: string, description?: string): Promise<Room> {
  return dataOf(
    await rest.createRoom(anna.token, { name, type: 'public', ...(description ? { description } : {}) }),
  );
}

async function planOf(statement: string): Promise<string> {
  return db.begin(async (tx) => {
    await tx`set local enable_seqscan = off`;
    await tx`set local enable_sort = off`;
    const rows = await tx.unsafe<Record<string, string>[]>(`explain (costs off) ${statement}`);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  });
}

describe('a search for users', () => {
  test('goes by how their names begin, in any case, the exact match first', async () => {
    for (const name of ['Zoe_b', 'zoE-2', 'zoe', 'ZOEY', 'zzo']) await register(name);
    expect((await users('ZOE')).map(({ username }) => username)).toEqual(['zoe', 'zoE-2', 'Zoe_b', 'ZOEY']);
    expect((await users('zoe_')).map(({ username }) => username)).toEqual(['Zoe_b']);
    expect(await users('zoe', 1)).toHaveLength(1);
  });

  test('takes what has a meaning in patterns as it is, and finds nothing by what no name holds', async () => {
    for (const q of ['%', '_', 'z%', '\\', 'zoe ', "'", 'é', '😀']) expect(await users(q), q).toEqual([]);
  });

  test('shows no emails and no deleted users', async () => {
    const name = freshName('gone');
    await register(name);
    expect(Object.keys(must((await users(name))[0])).sort()).toEqual([
      'avatar_url',
      'created_at',
      'id',
      'last_seen_at',
      'status',
      'username',
    ]);
    await db`update users set deleted_at = now() where username = ${name}`;
    expect(await users(name)).toEqual([]);
  });

  test('reads an index in its order', async () => {
    const plan = await planOf(`
      select id from users where lower(username) ~>=~ 'zoe' and lower(username) ~<~ 'zof' and deleted_at is null
      order by lower(username) using ~<~ limit 20`);
    expect(plan).toContain('Index Scan using users_username_prefix_idx');
  });
});

describe('discovering rooms', () => {
  test('shows public rooms by the words that their names and descriptions start with', async () => {
    await publicRoom('Node.js developers', 'where JavaScript_people meet');
    await publicRoom('Nodding donkeys');
    await rest.createRoom(anna.token, { name: 'Node private', type: 'private' });
    const deleted = await publicRoom('Node deleted');
    await rest.delete(`/rooms/${deleted.id}`, anna.token);
    expect((await discovered('nod')).sort()).toEqual(['Nodding donkeys', 'Node.js developers']);
    for (const q of [
      'node.js',
      'JS dev',
      'DEVELOPERS node',
      'javascript',
      'people',
      'node-js',
      'node | & !:* js',
    ]) {
      expect(await discovered(q), q).toEqual(['Node.js developers']);
    }
    for (const q of ['evelopers', 'private', 'deleted', '!!!', "'", '\\', '😀'])
      expect(await discovered(q), q).toEqual([]);
  });

  test('shows the largest first, page by page, complete and without repeats', async () => {
    const rooms = await Promise.all(Array.from({ length: 9 }, (_, i) => publicRoom(`Sized number ${i}`)));
    for (const [i, { id }] of rooms.entries()) {
      await db`update rooms set member_count = ${1_000 + (i % 3)} where id = ${id}`;
    }
    for (const q of ['', 'sized']) {
      const seen: Room[] = [];
      let after: string | null = null;
      do {
        const answer: RestAnswer<Room[]> = await discover({
          q,
          limit: 2,
          ...(after === null ? {} : { after }),
        });
        seen.push(...dataOf(answer));
        after = must(answer.body.page).next;
      } while (after !== null);
      expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
      expect(seen.map(({ member_count }) => member_count)).toEqual(
        seen.map(({ member_count }) => member_count).sort((a, b) => b - a),
      );
      expect(
        seen
          .slice(0, 9)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(rooms.map(({ id }) => id).sort());
    }
  });

  test('refuses cursors of other lists and queries of too many words', async () => {
    for (const after of [
      'x',
      Buffer.from('1.2').toString('base64url'),
      Buffer.from('x.y.z').toString('base64url'),
    ]) {
      expect((await discover({ after })).body).toMatchObject({ code: 'bad_request', field: 'after' });
    }
    const q = Array.from({ length: 11 }, (_, i) => `w${i}`).join(' ');
    expect((await discover({ q })).body).toMatchObject({ code: 'bad_request', field: 'q' });
  });

  test('reads an index, with words and without', async () => {
    const open = "from rooms r where r.type = 'public' and r.deleted_at is null";
    expect(await planOf(`select id ${open} order by member_count desc, id limit 20`)).toContain(
      'using rooms_discover_size_idx',
    );
    const words = "translate(r.name || ' ' || coalesce(r.description, ''), '.-_/@:+&<', '         ')";
    await db`
      insert into rooms (id, name, type) select gen_random_uuid(), 'room ' || n, 'public' from generate_series(1, 5000) n`;
    await db`analyze rooms`;
    expect(
      await planOf(`select id ${open} and to_tsvector('simple', ${words}) @@ to_tsquery('simple', 'node:*')`),
    ).toContain('rooms_discover_words_idx');
  });
});
