import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Me, User } from '../../src/protocol/model.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { within } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  type RestAnswer,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const ROUNDS = 12; // of each race

let rest: Rest;
let wsUrl: string;
let db: Db;

beforeAll(async () => {
  const server = await startServerWithDatabase({ SHARDS: '2', DB_POOL_SIZE: '4' });
  rest = restClient(server.url);
  wsUrl = server.wsUrl;
  db = openDatabase(server.database.url, 1, 'account-removal');
});

afterAll(() => db.end());

const people = (count: number) => Promise.all(Array.from({ length: count }, () => newAccount(rest)));
const remove = (account: Account): Promise<RestAnswer<unknown>> => rest.delete('/users/me', account.token);
const stored = async (id: string) => {
  const [row] = await db<{ member_count: number; actual: number; ghosts: number; deleted: boolean }[]>`
    select r.member_count, count(rm.user_id) as actual, count(*) filter (where u.deleted_at is not null) as ghosts,
      r.deleted_at is not null as deleted
    from rooms r left join room_members rm on rm.room_id = r.id left join users u on u.id = rm.user_id
    where r.id = ${id} group by r.id`;
  return row;
};

describe('deleting one’s account', () => {
  test('is a conflict while being the last admin of a room with others, and then changes nothing', async () => {
    const [anna, ben] = (await people(2)) as [Account, Account];
    const room = await newRoom(rest, anna, [ben]);
    expect(refusalOf(await remove(anna))).toEqual({ status: 409, code: 'conflict' });
    expect(dataOf(await rest.get<Me>('/users/me', anna.token)).username).toBe(anna.username);
    dataOf(await rest.patchMember(anna.token, room.id, ben.id, { role: 'admin' }));
    expect((await remove(anna)).status).toBe(200);
  });

  test('leaves the rooms with others, deletes those without, and tells who is there', async () => {
    const [anna, ben] = (await people(2)) as [Account, Account];
    const [shared, alone] = await Promise.all([newRoom(rest, ben, [anna]), newRoom(rest, anna)]);
    const socket = await connect({ wsUrl, token: ben.token });
    await socket.ask('join_room', {}, shared.id);
    expect((await remove(anna)).status).toBe(200);
    const left = await socket.next(({ type }) => type === 'member_left', 'member_left');
    expect(left).toMatchObject({
      room_id: shared.id,
      payload: { user_id: anna.id, username: anna.username },
    });
    expect(dataOf(await rest.getRoom(ben.token, shared.id)).member_count).toBe(1);
    expect(dataOf(await rest.members(ben.token, shared.id)).map(({ user_id }) => user_id)).toEqual([ben.id]);
    expect((await rest.getRoom(ben.token, alone.id)).status).toBe(404);
    await socket.close();
  });

  test('ends every session: sockets close with 4010, tokens and passwords are good for nothing', async () => {
    const anna = await newAccount(rest);
    const second = dataOf(await rest.login({ email: anna.email, password: anna.password }));
    const sockets = await Promise.all([anna.token, second.token].map((token) => connect({ wsUrl, token })));
    expect((await remove(anna)).status).toBe(200);
    for (const { closed } of sockets) expect((await within(closed, 5_000, 'the close')).code).toBe(4010);
    for (const token of [anna.token, second.token])
      expect((await rest.get('/users/me', token)).status).toBe(401);
    for (const token of [anna.refreshToken, second.refresh_token]) {
      expect(refusalOf(await rest.refresh(token)).code).toBe('unauthenticated');
    }
    expect(refusalOf(await rest.login({ email: anna.email, password: anna.password })).code).toBe(
      'invalid_credentials',
    );
    const [{ kept } = { kept: 0 }] = await db<{ kept: number }[]>`
      select count(*) as kept from sessions where user_id = ${anna.id} and revoked_at is not null`;
    expect(kept).toBe(2); // what refuses the tokens on other nodes
  });

  test('keeps what was written, under a deleted name; the old name and email are free', async () => {
    const [anna, ben] = (await people(2)) as [Account, Account];
    const room = await newRoom(rest, ben, [anna]);
    const message = dataOf(await rest.send(anna.token, room.id, { content: 'still here' }));
    await rest.patch('/users/me', anna.token, { avatar_url: 'https://x.io/a.png' });
    await remove(anna);
    const kept = dataOf(await rest.message(ben.token, message.id));
    expect(kept).toMatchObject({ content: 'still here', user_id: anna.id });
    expect(kept.username).toMatch(/^deleted-[0-9a-f]{12}$/);
    expect((await rest.get<User>(`/users/${anna.id}`, ben.token)).status).toBe(404);
    expect(dataOf(await rest.get<User[]>('/users/search', ben.token, { q: kept.username }))).toEqual([]);
    const { username, email, password } = anna;
    const again = dataOf(await rest.register({ username, email, password }));
    expect(again.user.id).not.toBe(anna.id);
    const [row] = await db`select password_hash, avatar_url, email from users where id = ${anna.id}`;
    expect(row).toMatchObject({ password_hash: '', avatar_url: null });
    expect(row?.email).not.toContain(anna.username);
  });

  test('leaves a direct room to the other one, readable, until he goes too', async () => {
    const [anna, ben] = (await people(2)) as [Account, Account];
    const body = { type: 'direct', member_ids: [ben.id] };
    const room = dataOf(await rest.createRoom(anna.token, body));
    dataOf(await rest.send(anna.token, room.id, { content: 'bye' }));
    expect((await remove(anna)).status).toBe(200);
    expect(dataOf(await rest.messages(ben.token, room.id)).map(({ content }) => content)).toEqual(['bye']);
    const names = dataOf(await rest.members(ben.token, room.id)).map(({ username }) => username);
    expect(names.filter((name) => name.startsWith('deleted-'))).toHaveLength(1);
    const to = { type: 'direct', member_ids: [anna.id] };
    expect(refusalOf(await rest.createRoom(ben.token, to)).code).toBe('not_found');
    expect((await remove(ben)).status).toBe(200);
    expect(await stored(room.id)).toMatchObject({ deleted: true });
  });

  test('refuses a second time', async () => {
    const anna = await newAccount(rest);
    const both = await Promise.all([remove(anna), remove(anna)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
  });
});

describe('an account that is deleted while', () => {
  const settled = async (account: Account): Promise<boolean> => {
    const { status } = await remove(account);
    expect([200, 409]).toContain(status);
    return status === 200;
  };

  test('it is added to rooms is in none of them afterwards', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [anna, ben] = (await people(2)) as [Account, Account];
      const rooms = await Promise.all([newRoom(rest, ben), newRoom(rest, ben), newRoom(rest, ben)]);
      const adds = rooms.map(({ id }) => rest.addMember(ben.token, id, anna.id, 'admin'));
      const creates = [1, 2].map((i) =>
        rest.createRoom(ben.token, { name: freshName(`new-${i}`), type: 'public', member_ids: [anna.id] }),
      );
      const [deleted, ...answers] = await Promise.all([settled(anna), ...adds, ...creates]);
      expect(deleted).toBe(true);
      for (const { status } of answers) expect([200, 201, 404]).toContain(status);
      const made = await Promise.all(creates);
      for (const id of [...rooms, ...made.flatMap(({ body }) => body.data ?? [])].map((room) => room.id)) {
        expect(await stored(id)).toEqual({ member_count: 1, actual: 1, ghosts: 0, deleted: false });
      }
    }
  }, 60_000);

  test('the other admin steps down, leaves or is deleted too leaves no room with members but no admin', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [anna, ben, carl] = (await people(3)) as [Account, Account, Account];
      const room = await newRoom(rest, anna, [ben, carl]);
      dataOf(await rest.patchMember(anna.token, room.id, ben.id, { role: 'admin' }));
      const others = [
        () => rest.patchMember(ben.token, room.id, ben.id, { role: 'member' }),
        () => rest.leave(ben.token, room.id),
        () => remove(ben),
      ];
      const other = others[round % others.length] as () => Promise<RestAnswer<unknown>>;
      const [, answer] = await Promise.all([settled(anna), other()]);
      expect([200, 409]).toContain(answer.status);
      const members = dataOf(await rest.members(carl.token, room.id));
      expect(members.filter(({ role }) => role === 'admin')).toHaveLength(1);
      expect(members.filter(({ username }) => username.startsWith('deleted-'))).toEqual([]);
    }
  }, 60_000);

  test('it logs in, joins and sends is not left with a session or a membership', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [anna, ben] = (await people(2)) as [Account, Account];
      const [room, other] = await Promise.all([newRoom(rest, ben, [anna]), newRoom(rest, ben)]);
      const [, ...answers] = await Promise.all([
        settled(anna),
        rest.login({ email: anna.email, password: anna.password }),
        rest.join(anna.token, other.id),
        rest.send(anna.token, room.id, { content: 'x' }),
        rest.refresh(anna.refreshToken),
      ]);
      for (const { status } of answers) expect(status).toBeLessThan(500);
      expect(await stored(room.id)).toMatchObject({ member_count: 1, ghosts: 0 });
      expect(await stored(other.id)).toMatchObject({ member_count: 1, ghosts: 0 });
      expect(await db`select from sessions where user_id = ${anna.id} and revoked_at is null`).toHaveLength(
        0,
      );
    }
  }, 60_000);
});
