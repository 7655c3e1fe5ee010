import { beforeAll, describe, expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/http/routes.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { listen } from '../helpers/signals.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let admin: Account;
let guest: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  [admin, guest] = await Promise.all([newAccount(rest), newAccount(rest)]);
});

const NO_ID = '00000000-0000-4000-8000-000000000000';

async function joined(account: Account, room: string, encoding: 'json' | 'msgpack'): Promise<WsClient> {
  const client = await connect({ wsUrl: server.wsUrl, token: account.token, encoding });
  await client.ask('join_room', {}, room);
  return client;
}

const event = (client: WsClient, type: string) => client.next((frame) => frame.type === type, type);

describe.each(['json', 'msgpack'] as const)('who has joined a room hears in %s', (encoding) => {
  test('who comes, who is changed, who goes and what becomes of the room', async () => {
    const room = await newRoom(rest, admin);
    const watcher = await joined(admin, room.id, encoding);
    dataOf(await rest.join(guest.token, room.id));
    const came = await event(watcher, 'member_joined');
    expect(came).toMatchObject({ room_id: room.id, payload: { user_id: guest.id, role: 'member' } });
    expect(came).not.toHaveProperty('rev');

    dataOf(await rest.patchMember(admin.token, room.id, guest.id, { role: 'moderator' }));
    expect((await event(watcher, 'member_updated')).payload).toMatchObject({
      user_id: guest.id,
      role: 'moderator',
      muted_until: null,
    });

    dataOf(await rest.patch(`/rooms/${room.id}`, admin.token, { description: 'Changed' }));
    expect((await event(watcher, 'room_updated')).payload).toMatchObject({
      room: { description: 'Changed' },
    });

    dataOf(await rest.leave(guest.token, room.id));
    expect((await event(watcher, 'member_left')).payload).toMatchObject({ user_id: guest.id });

    dataOf(await rest.delete(`/rooms/${room.id}`, admin.token));
    expect((await event(watcher, 'room_deleted')).payload).toEqual({ room_id: room.id });
    await watcher.close();
  });

  test('that they were added to a room, and removed from it', async () => {
    const room = await newRoom(rest, admin);
    const theirs = await connect({ wsUrl: server.wsUrl, token: guest.token, encoding });
    dataOf(await rest.addMember(admin.token, room.id, guest.id));
    expect((await event(theirs, 'room_added')).payload).toMatchObject({ room: { id: room.id } });
    await theirs.ask('join_room', {}, room.id);
    dataOf(await rest.removeMember(admin.token, room.id, guest.id));
    const removed = await event(theirs, 'removed_from_room');
    expect(removed.payload).toEqual({ room_id: room.id, reason: 'removed' });
    await theirs.close();
  });
});

describe.each(['json', 'msgpack'] as const)('a user’s other device hears in %s', (encoding) => {
  test('of the rooms that he makes and joins, once', async () => {
    const room = await newRoom(rest, admin);
    const other = await connect({ wsUrl: server.wsUrl, token: guest.token, encoding });
    const friend = await newAccount(rest);
    const stranger = await listen(server.wsUrl, await newAccount(rest), encoding);
    const made = await newRoom(rest, guest);
    expect(await event(other, 'room_added')).toMatchObject({ room_id: made.id, payload: { room: made } });
    for (const status of [200, 200]) expect((await rest.join(guest.token, room.id)).status).toBe(status);
    const joined = await event(other, 'room_added');
    expect(joined).toMatchObject({
      room_id: room.id,
      payload: { room: { id: room.id, name: room.name, member_count: 2 } },
    });
    const body = { type: 'direct', member_ids: [friend.id] } as const;
    const pair = dataOf(await rest.createRoom(guest.token, body));
    expect((await rest.createRoom(guest.token, body)).status).toBe(200);
    expect((await event(other, 'room_added')).room_id).toBe(pair.id);
    const last = await newRoom(rest, guest);
    expect((await event(other, 'room_added')).room_id).toBe(last.id); // repeats told of nothing
    await stranger.ask('ping');
    expect(stranger.frames.filter(({ type }) => type === 'room_added')).toEqual([]);
    await Promise.all([other.close(), stranger.close()]);
  });
});

describe('without a token', () => {
  const guarded = Object.entries(ROUTES as Record<string, Route>).filter(([, route]) => route.auth);
  test.each(guarded)('%s answers 401', async (_name, route) => {
    const path = route.path.replace(':emoji', ':a:').replaceAll(/:[a-zA-Z]{2,}/g, NO_ID);
    const body = route.body === null ? {} : { body: {} };
    const answer = await rest.call(route.method.toUpperCase(), path, body);
    expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated']);
  });
});
