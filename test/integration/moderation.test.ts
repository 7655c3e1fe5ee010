import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry, Ban, Member } from '../../src/protocol/model.js';
import { must, until } from '../helpers/deadline.js';
import type { Encoding } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  type Rest,
  type RestAnswer,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

let server: Server;
let rest: Rest;
let admin: Account;
let moderator: Account;
let member: Account;
let stranger: Account;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2' }); // so that some changes come by another room's shard
  rest = restClient(server.url);
  const names = ['admin', 'moderator', 'member', 'stranger'];
  const accounts = await Promise.all(names.map((name) => newAccount(rest, name)));
  [admin, moderator, member, stranger] = accounts as [Account, Account, Account, Account];
});

type Type = 'public' | 'private';

/** A room with one of each role. */
async function staffed(type: Type): Promise<string> {
  const room = dataOf(await rest.createRoom(admin.token, { name: freshName('room'), type }));
  dataOf(await rest.addMember(admin.token, room.id, moderator.id, 'moderator'));
  dataOf(await rest.addMember(admin.token, room.id, member.id));
  return room.id;
}

const ban = (by: Account, roomId: string, userId: string, reason?: string) =>
  rest.call<Ban>('PUT', `/rooms/${roomId}/bans/${userId}`, {
    token: by.token,
    ...(reason === undefined ? {} : { body: { reason } }),
  });
const unban = (by: Account, roomId: string, userId: string) =>
  rest.delete(`/rooms/${roomId}/bans/${userId}`, by.token);
const bans = (by: Account, roomId: string) => rest.get<Ban[]>(`/rooms/${roomId}/bans`, by.token);
const audit = (by: Account, roomId: string, query = {}) =>
  rest.get<AuditEntry[]>(`/rooms/${roomId}/audit`, by.token, query);
const report = (by: Account, messageId: string, reason = 'rude') =>
  rest.post(`/messages/${messageId}/report`, by.token, { reason });
const said = async (by: Account, roomId: string, content = 'text') =>
  dataOf(await rest.send(by.token, roomId, { content })).id;
const mute = (roomId: string, muted_until: string | null) =>
  rest.patchMember(moderator.token, roomId, member.id, { muted_until });
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

async function sockets<T>(
  accounts: readonly Account[],
  use: (clients: WsClient[]) => Promise<T>,
  encoding: Encoding = 'json',
): Promise<T> {
  const clients = await Promise.all(
    accounts.map(({ token }) => connect({ wsUrl: server.wsUrl, token, encoding })),
  );
  try {
    return await use(clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** What an answer of REST or a frame comes to: its code, or `ok`. */
const codeOf = (answer: RestAnswer<unknown>) => answer.body.code ?? 'ok';
async function frameCode(client: WsClient, type: string, payload: unknown, roomId?: string) {
  const frame = await client.request<{ code?: string }>(type, payload, roomId);
  return frame.type === 'error' ? must(frame.payload.code) : 'ok';
}

describe('a ban', () => {
  test.each(['json', 'msgpack'] as const)(
    'takes a member’s subscription at once, tells him and then the room (%s)',
    async (encoding) => {
      const roomId = await staffed('public');
      await sockets(
        [admin, member],
        async ([hers, his]) => {
          await must(hers).ask('join_room', {}, roomId);
          await must(his).ask('join_room', {}, roomId);
          const answer = await ban(moderator, roomId, member.id, 'spam');
          expect(answer.status).toBe(200);
          expect(dataOf(answer)).toMatchObject({
            user_id: member.id,
            username: member.username,
            reason: 'spam',
            banned_by: moderator.id,
          });
          const removed = await must(his).next(({ type }) => type === 'removed_from_room', 'the removal');
          expect(removed).toMatchObject({ room_id: roomId, payload: { room_id: roomId, reason: 'banned' } });
          const left = await must(hers).next(({ type }) => type === 'member_left', 'member_left');
          expect(left.payload).toMatchObject({ user_id: member.id });
          await said(admin, roomId, 'after the ban');
          await must(hers).next(({ type }) => type === 'new_message', 'the message');
          await must(his).ask('ping');
          expect(must(his).streams.get(roomId) ?? []).toEqual([]);
          expect(await frameCode(must(his), 'join_room', {}, roomId)).toBe('not_a_member');
          expect(await frameCode(must(his), 'send_message', { content: 'x' }, roomId)).toBe('not_a_member');
        },
        encoding,
      );
    },
  );

  test('keeps out of a public room, whose details stay visible, until it is lifted', async () => {
    const roomId = await staffed('public');
    dataOf(await ban(moderator, roomId, stranger.id));
    expect((await rest.getRoom(stranger.token, roomId)).status).toBe(200);
    expect(refusalOf(await rest.join(stranger.token, roomId))).toEqual({ status: 403, code: 'banned' });
    expect(refusalOf(await rest.messages(stranger.token, roomId))).toMatchObject({ code: 'not_a_member' });
    expect(refusalOf(await rest.addMember(moderator.token, roomId, stranger.id))).toMatchObject({
      code: 'banned',
    });
    expect(dataOf(await bans(moderator, roomId)).map(({ user_id }) => user_id)).toEqual([stranger.id]);
    expect((await unban(moderator, roomId, stranger.id)).status).toBe(200);
    expect(dataOf(await bans(moderator, roomId))).toEqual([]);
    expect((await rest.join(stranger.token, roomId)).status).toBe(200);
  });

  test('of a private room hides it', async () => {
    const roomId = await staffed('private');
    const id = await said(member, roomId);
    const others: string[] = [];
    for (let n = 0; n < 8; n++) others.push(await said(admin, roomId));
    for (const each of others) dataOf(await rest.message(member.token, each)); // each by its own way to the room
    dataOf(await ban(admin, roomId, member.id));
    for (const each of others) expect(codeOf(await rest.message(member.token, each))).toBe('not_found');
    for (const answer of [
      await rest.getRoom(member.token, roomId),
      await rest.join(member.token, roomId),
      await rest.messages(member.token, roomId),
      await rest.message(member.token, id),
      await rest.edit(member.token, id, 'x'),
      await report(member, id),
      await audit(member, roomId),
    ]) {
      expect(refusalOf(answer)).toEqual({ status: 404, code: 'not_found' });
    }
  });

  test('bad bodies and unknown users are refused, direct rooms are conflict', async () => {
    const roomId = await staffed('public');
    const put = (body: unknown) =>
      rest.call('PUT', `/rooms/${roomId}/bans/${stranger.id}`, { token: admin.token, body });
    for (const body of [{ reason: '' }, { reason: 'x'.repeat(501) }, { until: 'x' }, { reason: null }]) {
      expect(refusalOf(await put(body))).toEqual({ status: 400, code: 'bad_request' });
    }
    expect(refusalOf(await ban(admin, roomId, randomUUID()))).toMatchObject({ code: 'not_found' });
    expect(refusalOf(await ban(admin, roomId, 'nobody'))).toMatchObject({ code: 'bad_request' });
    const direct = dataOf(await rest.createRoom(admin.token, { type: 'direct', member_ids: [stranger.id] }));
    expect(refusalOf(await ban(admin, direct.id, stranger.id))).toEqual({ status: 409, code: 'conflict' });
    expect(refusalOf(await ban(admin, direct.id, member.id))).toEqual({ status: 409, code: 'conflict' });
  });
});

describe('a mute', () => {
  test('holds for sending, editing and reacting, over REST and WebSocket, until it is lifted', async () => {
    const roomId = await staffed('public');
    const message_id = await said(member, roomId);
    await sockets([member], async ([his]) => {
      const tries = async () => [
        codeOf(await rest.send(member.token, roomId, { content: 'x' })),
        codeOf(await rest.edit(member.token, message_id, `edit ${randomUUID()}`)),
        codeOf(await rest.post(`/messages/${message_id}/reactions`, member.token, { emoji: '👍' })),
        await frameCode(must(his), 'send_message', { content: 'x' }, roomId),
        await frameCode(must(his), 'edit_message', { message_id, content: `edit ${randomUUID()}` }),
        await frameCode(must(his), 'add_reaction', { message_id, emoji: '👍' }),
      ];
      const free = ['ok', 'ok', 'ok', 'ok', 'ok', 'ok'];
      expect(await tries()).toEqual(free);
      dataOf(await mute(roomId, inAnHour()));
      expect(await tries()).toEqual(free.map(() => 'muted'));
      dataOf(await mute(roomId, null));
      expect(await tries()).toEqual(free);
      expect((await mute(roomId, inAnHour())).status).toBe(200);
      expect(await frameCode(must(his), 'delete_message', { message_id })).toBe('ok');
    });
  });

  test('ends by itself, though the server keeps what it knows of the member', async () => {
    const roomId = await staffed('public');
    const end = Date.now() + 1_500;
    dataOf(await mute(roomId, new Date(end).toISOString()));
    await sockets([member], async ([his]) => {
      const send = () => frameCode(must(his), 'send_message', { content: 'x' }, roomId);
      const first = await send();
      if (Date.now() < end) expect(first).toBe('muted');
      await until(async () => (await send()) === 'ok', 'the end of the mute');
      expect(Date.now()).toBeGreaterThanOrEqual(end);
      expect(codeOf(await rest.send(member.token, roomId, { content: 'x' }))).toBe('ok');
    });
  });

  test('is told to the room', async () => {
    const roomId = await staffed('public');
    await sockets([stranger, admin], async ([, hers]) => {
      await must(hers).ask('join_room', {}, roomId);
      const muted_until = inAnHour();
      dataOf(await mute(roomId, muted_until));
      const told = await must(hers).next(({ type }) => type === 'member_updated', 'member_updated');
      expect(told.payload).toMatchObject({ user_id: member.id, muted_until });
    });
  });
});

describe('reports and the audit log', () => {
  test('a report reaches the moderators, not the members; a repeat changes nothing', async () => {
    const roomId = await staffed('private');
    const id = await said(moderator, roomId);
    for (let n = 0; n < 2; n++) expect((await report(member, id, 'rude')).body).toMatchObject({ data: {} });
    const [entry, ...before] = dataOf(await audit(moderator, roomId));
    expect(entry).toMatchObject({
      room_id: roomId,
      action: 'message_reported',
      actor_id: member.id,
      actor_username: member.username,
      target_user_id: moderator.id,
      target_message_id: id,
      details: { reason: 'rude' },
    });
    expect(before.map(({ action }) => action)).toEqual(['member_added', 'member_added']);
    expect(codeOf(await audit(member, roomId))).toBe('forbidden');
    expect(codeOf(await report(member, id, ''))).toBe('bad_request');
    expect(codeOf(await report(moderator, id))).toBe('conflict');
    expect(codeOf(await report(stranger, id))).toBe('not_found');
    dataOf(await rest.deleteMessage(moderator.token, id));
    expect(codeOf(await report(member, id))).toBe('not_found');
  });

  test('another’s deletion is told once, over REST and WebSocket; one’s own isn’t', async () => {
    const roomId = await staffed('public');
    const ids = [await said(member, roomId), await said(member, roomId), await said(member, roomId)];
    const [byRest, bySocket, own] = ids as [string, string, string];
    await sockets([moderator], async ([theirs]) => {
      for (let n = 0; n < 2; n++) {
        dataOf(await rest.deleteMessage(moderator.token, byRest));
        await must(theirs).ask('delete_message', { message_id: bySocket });
      }
    });
    dataOf(await rest.deleteMessage(member.token, own));
    const told = dataOf(await audit(admin, roomId)).filter(({ action }) => action === 'message_deleted');
    expect(told.map(({ target_message_id }) => target_message_id)).toEqual([bySocket, byRest]);
    for (const entry of told) {
      expect(entry).toMatchObject({ actor_id: moderator.id, target_user_id: member.id });
    }
  });

  test('a pin and its end are told once each', async () => {
    const roomId = await staffed('public');
    const id = await said(member, roomId);
    const pin = (method: string) => rest.call(method, `/messages/${id}/pin`, { token: moderator.token });
    for (const method of ['PUT', 'PUT', 'DELETE', 'DELETE']) expect((await pin(method)).status).toBe(200);
    const told = dataOf(await audit(admin, roomId)).filter(
      ({ target_message_id }) => target_message_id === id,
    );
    expect(told.map(({ action }) => action)).toEqual(['message_unpinned', 'message_pinned']);
    for (const entry of told) {
      expect(entry).toMatchObject({ actor_id: moderator.id, target_user_id: member.id, details: {} });
    }
  });

  test('the log goes page by page by its cursor', async () => {
    const roomId = await staffed('public');
    for (const description of ['1', '2', '3']) {
      dataOf(await rest.patch(`/rooms/${roomId}`, admin.token, { description }));
    }
    const found: AuditEntry[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const answer: RestAnswer<AuditEntry[]> = await audit(admin, roomId, {
        limit: 2,
        ...(after === '' ? {} : { after }),
      });
      found.push(...dataOf(answer));
      after = must(answer.body.page).next;
    }
    const changed = { action: 'room_updated', details: { description: { from: '2', to: '3' } } };
    expect(found[0]).toMatchObject(changed);
    expect(found.map(({ id }) => id)).toEqual(dataOf(await audit(admin, roomId)).map(({ id }) => id));
    expect(found).toHaveLength(5);
    expect(codeOf(await audit(admin, roomId, { after: 'x' }))).toBe('bad_request');
  });
});

describe('who may what is the same over REST and over WebSocket', () => {
  const INSIDE = ['admin', 'moderator', 'member', 'muted'] as const;
  const OUTSIDE = ['ex-member', 'stranger', 'banned'] as const;

  test.each(['public', 'private'] as const)('in a %s room', async (type) => {
    const roomId = await staffed(type);
    const [muted, former, banned] = [await newAccount(rest), await newAccount(rest), await newAccount(rest)];
    for (const { id } of [muted, former, banned]) dataOf(await rest.addMember(admin.token, roomId, id));
    const messagesOf = async (by: Account) => ({
      rest: await said(by, roomId),
      socket: await said(by, roomId),
    });
    const people = { admin, moderator, member, muted, 'ex-member': former, stranger, banned };
    const targets = { admin: await messagesOf(admin), member: await messagesOf(member) };
    const own: Record<string, { rest: string; socket: string }> = {};
    for (const name of [...INSIDE, 'ex-member', 'banned'] as const)
      own[name] = await messagesOf(people[name]);
    own.stranger = targets.admin;
    dataOf(await rest.patchMember(admin.token, roomId, muted.id, { muted_until: inAnHour() }));
    expect((await rest.leave(former.token, roomId)).status).toBe(200);
    dataOf(await ban(admin, roomId, banned.id));

    const outside = type === 'public' ? 'not_a_member' : 'not_found';
    const ACTIONS = {
      join_room: ['ok', 'ok', 'ok', 'ok'],
      send_message: ['ok', 'ok', 'ok', 'muted'],
      edit_own: ['ok', 'ok', 'ok', 'muted'],
      edit_others: ['forbidden', 'forbidden', 'forbidden', 'forbidden'],
      delete_of_admin: ['ok', 'forbidden', 'forbidden', 'forbidden'],
      delete_own: ['ok', 'ok', 'ok', 'ok'],
      mark_read: ['ok', 'ok', 'ok', 'ok'],
    } as const;

    for (const [i, name] of [...INSIDE, ...OUTSIDE].entries()) {
      const who = people[name];
      const mine = must(own[name]);
      const others = name === 'member' ? targets.admin : targets.member;
      const admins = name === 'admin' ? await messagesOf(admin) : targets.admin;
      const { token } = who;
      const overRest = {
        join_room: codeOf(await rest.messages(token, roomId)),
        send_message: codeOf(await rest.send(token, roomId, { content: 'x' })),
        edit_own: codeOf(await rest.edit(token, mine.rest, 'edited')),
        edit_others: codeOf(await rest.edit(token, others.rest, 'edited')),
        delete_of_admin: codeOf(await rest.deleteMessage(token, admins.rest)),
        delete_own: codeOf(await rest.deleteMessage(token, mine.rest)),
        mark_read: codeOf(await rest.post(`/rooms/${roomId}/read`, token, { seq_no: 0 })),
      };
      const overSocket = await sockets([who], async ([client]) => {
        const ask = (frame: string, payload: unknown, room?: string) =>
          frameCode(must(client), frame, payload, room);
        const edited = { content: 'edited' };
        return {
          join_room: await ask('join_room', {}, roomId),
          send_message: await ask('send_message', { content: 'x' }, roomId),
          edit_own: await ask('edit_message', { message_id: mine.socket, ...edited }),
          edit_others: await ask('edit_message', { message_id: others.socket, ...edited }),
          delete_of_admin: await ask('delete_message', { message_id: admins.socket }),
          delete_own: await ask('delete_message', { message_id: mine.socket }),
          mark_read: await ask('mark_read', { seq_no: 0 }, roomId),
        };
      });
      const expected = Object.fromEntries(
        Object.entries(ACTIONS).map(([action, codes]) => [action, codes[i] ?? outside]),
      );
      expect([name, overRest]).toEqual([name, expected]);
      expect([name, overSocket]).toEqual([name, overRest]);
    }
  });

  test.each(['public', 'private'] as const)('acting on members of a %s room', async (type) => {
    const outside = type === 'public' ? 'not_a_member' : 'not_found';
    const expected: Record<string, readonly string[]> = {
      // on a stranger, a member, a moderator, an admin
      admin: ['ok', 'ok', 'ok', 'forbidden'],
      moderator: ['ok', 'ok', 'forbidden', 'forbidden'],
      member: ['forbidden', 'forbidden', 'forbidden', 'forbidden'],
      stranger: [outside, outside, outside, outside],
    };
    const people = { admin, moderator, member, stranger };
    for (const [name, who] of Object.entries(people)) {
      const roomId = await staffed(type);
      const ranks = ['member', 'moderator', 'admin'] as const;
      const targets = [await newAccount(rest)];
      for (const role of ranks) {
        const target = await newAccount(rest);
        dataOf<Member>(await rest.addMember(admin.token, roomId, target.id, role));
        targets.push(target);
      }
      const absent = must(expected[name])[0] === 'ok' ? 'not_found' : must(expected[name])[0];
      const onMembers = [absent, ...must(expected[name]).slice(1)];
      const muted: string[] = [];
      const banned: string[] = [];
      for (const { id } of targets) {
        muted.push(codeOf(await rest.patchMember(who.token, roomId, id, { muted_until: inAnHour() })));
        banned.push(codeOf(await ban(who, roomId, id)));
      }
      expect([name, muted]).toEqual([name, onMembers]);
      expect([name, banned]).toEqual([name, expected[name]]);
      const leader = name === 'admin' || name === 'moderator';
      const reading = leader ? 'ok' : must(expected[name])[0];
      expect(codeOf(await bans(who, roomId))).toBe(reading);
      expect(codeOf(await audit(who, roomId))).toBe(reading);
      expect(codeOf(await unban(who, roomId, must(targets[0]).id))).toBe(reading);
    }
  });
});
