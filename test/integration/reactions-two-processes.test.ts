import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../src/protocol/ids.js';
import { openDatabase } from '../../src/store/client.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { must } from '../helpers/deadline.js';
import { createMember } from '../helpers/member-view.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServer } from '../helpers/server-process.js';
import { resigned } from '../helpers/tokens.js';
import { connect } from '../helpers/ws-client.js';

const REACTING = 200;

let database: TestDatabase;
let servers: [Server, Server];
let rest: Rest;
let owner: Account;

beforeAll(async () => {
  database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, SHARDS: '2' };
  servers = [await startServer({ env }), await startServer({ env })];
  rest = restClient(servers[0].url);
  owner = await newAccount(rest, 'owner');
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await database.drop();
});

/** Members without a password, each with a token: what a test with hundreds of users needs of them. */
async function newMembers(roomId: string, count: number): Promise<{ id: string; token: string }[]> {
  const db = openDatabase(database.url, 1, 'reactions-test');
  const names = Array.from({ length: count }, (_, i) => `user-${i}`);
  const ids = names.map(() => newId<never>() as string);
  const sids = names.map(() => newId<never>() as string);
  await db`
    insert into users (id, username, email, password_hash)
    select id, name, name || '@x.test', '' from unnest(${ids}::uuid[], ${names}::text[]) as u (id, name)`;
  await db`
    insert into sessions (id, user_id, expires_at)
    select id, user_id, now() + interval '1 day' from unnest(${sids}::uuid[], ${ids}::uuid[]) as s (id, user_id)`;
  await db`insert into room_members (room_id, user_id) select ${roomId}, id from unnest(${ids}::uuid[]) as u (id)`;
  await db.end();
  return ids.map((id, i) => {
    const claims = { user_id: id, username: names[i], sid: sids[i] };
    return { id, token: resigned(owner.token, claims) };
  });
}

test('200 users who react at once through two processes are counted exactly, and both streams tell every step', {
  timeout: 120_000,
}, async () => {
  const room = await newRoom(rest, owner);
  const users = await newMembers(room.id, REACTING);
  const message = dataOf(await rest.send(owner.token, room.id, { content: 'react!' }));
  const watching = servers.map(({ wsUrl }, i) =>
    createMember({ wsUrl: () => wsUrl, account: owner, encoding: i === 0 ? 'json' : 'msgpack' }),
  );
  for (const member of watching) {
    await member.connect();
    await member.join(room.id);
  }
  const clients = await Promise.all(
    users.map(({ token }, i) => connect({ wsUrl: must(servers[i % 2]).wsUrl, token })),
  );
  const react = (type: string, emoji: string) => (client: (typeof clients)[number]) =>
    client.ask<{ rev: number }>(type, { message_id: message.id, emoji });
  const added = await Promise.all(clients.map(react('add_reaction', '👍')));
  expect(new Set(added.map(({ rev }) => rev)).size).toBe(REACTING);
  // Half of them take it back while the others repeat it, and all add another.
  await Promise.all([
    ...clients.slice(0, 100).map(react('remove_reaction', '👍')),
    ...clients.slice(100).map(react('add_reaction', '👍')),
    ...clients.map(react('add_reaction', '🎉')),
  ]);
  const after = dataOf(await rest.message(owner.token, message.id));
  expect(after.rev).toBe(1 + 200 + 100 + 200);
  expect(after.reactions.map(({ emoji, count, user_ids }) => [emoji, count, user_ids.length])).toEqual([
    ['👍', 100, 50],
    ['🎉', 200, 50],
  ]);
  const still = new Set(users.slice(100).map(({ id }) => id));
  expect(must(after.reactions[0]).user_ids.every((id) => still.has(id))).toBe(true);
  for (const member of watching) {
    await member.caughtUp(room.id, after.rev, 30_000);
    const revs = member.view(room.id).liveRevs;
    expect(revs).toEqual(revs.map((_, i) => i + 2)); // every step came live, none by a resync
    expect(revs).toHaveLength(500);
    expect(member.view(room.id).violations).toEqual([]);
  }
  const counts = watching.map((member) =>
    member
      .view(room.id)
      .messages.get(message.id)
      ?.message?.reactions.map(({ count }) => count),
  );
  expect(counts).toEqual([
    [100, 200],
    [100, 200],
  ]);
  await Promise.all(clients.map((client) => client.close()));
  for (const member of watching) await member.disconnect();
});
