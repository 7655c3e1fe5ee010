import { beforeAll, describe, expect, test } from 'vitest';
import { shardOf } from '../../src/protocol/ids.js';
import type { Me, User } from '../../src/protocol/model.js';
import type { Frame } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
} from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const SHARDS = 3; // so that rooms and users are at home in different threads

let rest: Rest;
let wsUrl: string;

beforeAll(async () => {
  const server = await startServerWithDatabase({ SHARDS: String(SHARDS), DB_POOL_SIZE: '2' });
  rest = restClient(server.url);
  wsUrl = server.wsUrl;
});

const patch = (account: Account, body: unknown) => rest.patch<Me>('/users/me', account.token, body);

describe('a profile', () => {
  test('changes what the patch names and nothing else', async () => {
    const anna = await newAccount(rest);
    const avatar_url = 'https://x.io/a.png?b=c';
    const before = dataOf(await rest.get<Me>('/users/me', anna.token));
    expect(dataOf(await patch(anna, { avatar_url }))).toEqual({ ...before, avatar_url });
    expect(dataOf(await patch(anna, { status: 'away' }))).toEqual({ ...before, avatar_url, status: 'away' });
    expect(dataOf(await patch(anna, {}))).toEqual({ ...before, avatar_url });
    expect(dataOf(await patch(anna, { avatar_url: null }))).toMatchObject({ avatar_url: null });
    const username = freshName();
    dataOf(await patch(anna, { username }));
    expect(dataOf(await rest.get<Me>('/users/me', anna.token))).toEqual({ ...before, username });
  });

  test('takes no name that another has in any case, but its own in another case', async () => {
    const [anna, ben] = await Promise.all([newAccount(rest), newAccount(rest)]);
    const refused = await patch(anna, { username: ben.username.toUpperCase() });
    expect(refused.body).toMatchObject({ code: 'conflict', field: 'username' });
    expect(refused.status).toBe(409);
    expect(dataOf(await patch(anna, { username: anna.username.toUpperCase() })).username).toBe(
      anna.username.toUpperCase(),
    );
  });

  test('of two who want the same name at once goes to one', async () => {
    const people = await Promise.all(Array.from({ length: 4 }, () => newAccount(rest)));
    const username = freshName();
    const answers = await Promise.all(people.map((account) => patch(account, { username })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  test('refuses names, avatars and statuses that are none', async () => {
    const anna = await newAccount(rest);
    for (const [field, values] of Object.entries({
      username: ['ab', 'a b', 'x'.repeat(51), 'ä-ä', null],
      avatar_url: ['http://x.io/a.png', 'javascript:alert(1)', 'data:,x', 'https://', 'https://u@x.io', 5],
      status: ['busy', null],
      email: ['a@x.io'],
    })) {
      for (const value of values) {
        const { status, body } = await patch(anna, { [field]: value });
        expect({ status, code: body.code }, `${field} ${value}`).toEqual({
          status: 400,
          code: 'bad_request',
        });
      }
    }
  });
});

describe('a new name', () => {
  test('is seen at once in messages, members and mentions, wherever the room is at home', async () => {
    const [anna, ben] = await Promise.all([newAccount(rest), newAccount(rest)]);
    const rooms = await Promise.all(Array.from({ length: 6 }, () => newRoom(rest, ben, [anna])));
    expect(new Set(rooms.map(({ id }) => shardOf(id, SHARDS))).size).toBeGreaterThan(1);
    for (const { id } of rooms) dataOf(await rest.send(anna.token, id, { content: 'old' })); // known to all threads
    const socket = await connect({ wsUrl, token: ben.token });
    const username = freshName('renamed');
    dataOf(await patch(anna, { username }));
    for (const { id } of rooms) {
      await socket.ask('join_room', {}, id);
      expect(dataOf(await rest.send(anna.token, id, { content: 'new' })).username).toBe(username);
      const isNew = ({ type, room_id }: Frame) => type === 'new_message' && room_id === id;
      expect(await socket.next(isNew, 'the message')).toMatchObject({ payload: { message: { username } } });
      const mention = dataOf(await rest.send(ben.token, id, { content: `@${username} @${anna.username}` }));
      expect(mention.mentions).toEqual([anna.id]);
      expect(dataOf(await rest.messages(ben.token, id)).map((message) => message.username)).toEqual([
        ben.username,
        username,
        username,
      ]);
      expect(dataOf(await rest.members(ben.token, id)).map((member) => member.username)).toContain(username);
    }
    expect(dataOf(await rest.get<User>(`/users/${anna.id}`, ben.token)).username).toBe(username);
    await socket.close();
  });
});
