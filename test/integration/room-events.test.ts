import { beforeAll, describe, expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/http/routes.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
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

describe('without a token', () => {
  const guarded = Object.entries(ROUTES as Record<string, Route>).filter(([, route]) => route.auth);
  test.each(guarded)('%s answers 401', async (_name, route) => {
    const path = route.path.replace(':emoji', ':a:').replaceAll(/:[a-zA-Z]{2,}/g, NO_ID);
    const body = route.body === null ? {} : { body: {} };
    const answer = await rest.call(route.method.toUpperCase(), path, body);
    expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated']);
  });
});
