import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { must } from '../helpers/deadline.js';
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
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

let server: Server;
let rest: Rest;
let admin: Account;
let moderator: Account;
let member: Account;
let stranger: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  const names = ['admin', 'moderator', 'member', 'stranger'];
  const accounts = await Promise.all(names.map((name) => newAccount(rest, name)));
  [admin, moderator, member, stranger] = accounts as [Account, Account, Account, Account];
});

const FORBIDDEN = { status: 403, code: 'forbidden' };
const NOT_FOUND = { status: 404, code: 'not_found' };
const CONFLICT = { status: 409, code: 'conflict' };

/** A room with one of each role. */
async function staffed(type: 'public' | 'private' = 'private'): Promise<string> {
  const room = dataOf(await rest.createRoom(admin.token, { name: freshName('room'), type }));
  dataOf(await rest.addMember(admin.token, room.id, moderator.id, 'moderator'));
  dataOf(await rest.addMember(admin.token, room.id, member.id));
  return room.id;
}

async function rolesOf(roomId: string): Promise<Record<string, string>> {
  const members = dataOf(await rest.members(admin.token, roomId, { limit: 100 }));
  return Object.fromEntries(members.map((each) => [each.username.split('-')[0], each.role]));
}

describe('creating and listing', () => {
  test('the creator is admin and the room appears in their list, most recently active first', async () => {
    const account = await newAccount(rest);
    const rooms = [await newRoom(rest, account), await newRoom(rest, account)];
    const answer = await rest.createRoom(account.token, {
      name: 'described',
      type: 'public',
      description: 'd',
    });
    expect(answer.status).toBe(201);
    expect(dataOf(answer)).toMatchObject({
      name: 'described',
      description: 'd',
      type: 'public',
      created_by: account.id,
      slow_mode_s: 0,
      head_seq: 0,
      head_rev: 0,
      member_count: 1,
    });
    dataOf(await rest.send(account.token, must(rooms[0]).id, { content: 'newest' }));
    const mine = dataOf(await rest.myRooms(account.token));
    expect(mine.map((room) => room.id)[0]).toBe(must(rooms[0]).id);
    expect(mine).toHaveLength(3);
    expect(mine[0]).toMatchObject({ role: 'admin', last_read_seq: 0, unread_count: 1, head_seq: 1 });
    expect(mine[0]?.last_message).toMatchObject({ content: 'newest' });
  });

  test('the list pages without losing or repeating a room', async () => {
    const account = await newAccount(rest);
    const made = [];
    for (let n = 0; n < 5; n++) made.push((await newRoom(rest, account)).id);
    const found: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const answer: RestAnswer<{ id: string }[]> = await rest.myRooms(account.token, {
        limit: 2,
        ...(after === '' ? {} : { after }),
      });
      found.push(...dataOf(answer).map((room) => room.id));
      after = must(answer.body.page).next;
    }
    expect(found.toSorted()).toEqual(made.toSorted());
  });

  test.each([
    ['a name of two characters', { name: 'ab', type: 'public' }],
    ['a name of 101', { name: 'x'.repeat(101), type: 'public' }],
    ['no name', { type: 'public' }],
    ['no type', { name: 'room' }],
    ['another type', { name: 'room', type: 'secret' }],
    ['a direct room with a name', { name: 'room', type: 'direct', member_ids: [randomUUID()] }],
    ['a direct room with nobody', { type: 'direct' }],
  ])('%s gets 400', async (_name, body) => {
    expect(refusalOf(await rest.createRoom(admin.token, body))).toEqual({ status: 400, code: 'bad_request' });
  });
});

describe('direct rooms', () => {
  test('asking again, from either side or both at once, gives the same room', async () => {
    const [a, b] = [await newAccount(rest), await newAccount(rest)];
    const ask = (from: Account, to: Account) =>
      rest.createRoom(from.token, { type: 'direct', member_ids: [to.id] });
    const answers = await Promise.all([ask(a, b), ask(b, a), ask(a, b), ask(b, a)]);
    expect(new Set(answers.map((answer) => dataOf(answer).id)).size).toBe(1);
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 200, 200, 201]);
    expect((await ask(b, a)).status).toBe(200);
    const { id } = dataOf(must(answers[0]));
    expect(dataOf(must(answers[0]))).toMatchObject({ type: 'direct', name: null, member_count: 2 });
    const members = dataOf(await rest.members(a.token, id));
    expect(members.map((each) => each.role)).toEqual(['admin', 'admin']);
  });

  test('nobody leaves one, joins one or is added to one', async () => {
    const [a, b] = [await newAccount(rest), await newAccount(rest)];
    const { id } = dataOf(await rest.createRoom(a.token, { type: 'direct', member_ids: [b.id] }));
    expect(refusalOf(await rest.leave(b.token, id))).toEqual(CONFLICT);
    expect(refusalOf(await rest.addMember(a.token, id, stranger.id))).toEqual(CONFLICT);
    expect((await rest.removeMember(a.token, id, b.id)).body.success).toBe(false);
    expect(refusalOf(await rest.join(stranger.token, id))).toEqual(NOT_FOUND);
    expect(dataOf(await rest.getRoom(a.token, id)).member_count).toBe(2);
  });
});

describe('what a non-member may see', () => {
  test('a private room and all in it is not_found, as a room that never was', async () => {
    for (const roomId of [await staffed(), randomUUID()]) {
      for (const answer of [
        await rest.getRoom(stranger.token, roomId),
        await rest.members(stranger.token, roomId),
        await rest.messages(stranger.token, roomId),
        await rest.send(stranger.token, roomId, { content: 'x' }),
        await rest.join(stranger.token, roomId),
        await rest.leave(stranger.token, roomId),
        await rest.patch(`/rooms/${roomId}`, stranger.token, { name: 'mine now' }),
        await rest.delete(`/rooms/${roomId}`, stranger.token),
        await rest.addMember(stranger.token, roomId, stranger.id),
        await rest.post(`/rooms/${roomId}/read`, stranger.token, { seq_no: 0 }),
      ]) {
        expect(refusalOf(answer)).toEqual(NOT_FOUND);
      }
    }
  });

  test('a public room shows its details, its messages are not_a_member', async () => {
    const roomId = await staffed('public');
    expect(dataOf(await rest.getRoom(stranger.token, roomId)).member_count).toBe(3);
    const notAMember = { status: 403, code: 'not_a_member' };
    expect(refusalOf(await rest.messages(stranger.token, roomId))).toEqual(notAMember);
    expect(refusalOf(await rest.send(stranger.token, roomId, { content: 'x' }))).toEqual(notAMember);
  });

  test('a removed member is a stranger again', async () => {
    const roomId = await staffed();
    dataOf(await rest.messages(member.token, roomId));
    expect((await rest.removeMember(moderator.token, roomId, member.id)).status).toBe(200);
    expect(refusalOf(await rest.messages(member.token, roomId))).toEqual(NOT_FOUND);
    expect(refusalOf(await rest.send(member.token, roomId, { content: 'x' }))).toEqual(NOT_FOUND);
    expect(dataOf(await rest.getRoom(admin.token, roomId)).member_count).toBe(2);
  });
});

describe('roles', () => {
  test('only admins change and delete the room', async () => {
    const roomId = await staffed();
    for (const account of [member, moderator]) {
      expect(refusalOf(await rest.patch(`/rooms/${roomId}`, account.token, { name: 'other' }))).toEqual(
        FORBIDDEN,
      );
      expect(refusalOf(await rest.delete(`/rooms/${roomId}`, account.token))).toEqual(FORBIDDEN);
    }
    const patched = await rest.patch(`/rooms/${roomId}`, admin.token, { name: 'other', description: null });
    expect(patched.body.data).toMatchObject({ name: 'other', description: null });
    expect((await rest.delete(`/rooms/${roomId}`, admin.token)).status).toBe(200);
    expect(refusalOf(await rest.getRoom(admin.token, roomId))).toEqual(NOT_FOUND);
    expect(refusalOf(await rest.send(admin.token, roomId, { content: 'x' }))).toEqual(NOT_FOUND);
  });

  test('a moderator adds to roles below their own, a member adds nobody', async () => {
    const roomId = await staffed();
    const guest = await newAccount(rest, 'guest');
    expect(refusalOf(await rest.addMember(member.token, roomId, guest.id))).toEqual(FORBIDDEN);
    for (const role of ['moderator', 'admin'] as const) {
      expect(refusalOf(await rest.addMember(moderator.token, roomId, guest.id, role))).toEqual(FORBIDDEN);
    }
    const added = await rest.addMember(moderator.token, roomId, guest.id);
    expect([added.status, dataOf(added).role]).toEqual([201, 'member']);
    expect((await rest.addMember(moderator.token, roomId, guest.id)).status).toBe(200);
    expect(refusalOf(await rest.addMember(admin.token, roomId, randomUUID()))).toEqual(NOT_FOUND);
  });

  test('nobody acts on somebody of their own rank or above, and only admins change roles', async () => {
    const roomId = await staffed();
    expect(refusalOf(await rest.removeMember(moderator.token, roomId, admin.id))).toEqual(FORBIDDEN);
    expect(refusalOf(await rest.removeMember(member.token, roomId, moderator.id))).toEqual(FORBIDDEN);
    const promote = (by: Account) => rest.patchMember(by.token, roomId, member.id, { role: 'moderator' });
    expect(refusalOf(await promote(member))).toEqual(FORBIDDEN);
    expect(refusalOf(await promote(moderator))).toEqual(FORBIDDEN);
    expect(dataOf(await promote(admin)).role).toBe('moderator');
    expect(refusalOf(await rest.removeMember(moderator.token, roomId, member.id))).toEqual(FORBIDDEN);
    expect(await rolesOf(roomId)).toEqual({ admin: 'admin', moderator: 'moderator', member: 'moderator' });
  });

  test('the last admin can neither leave nor step down', async () => {
    const roomId = await staffed();
    expect(refusalOf(await rest.leave(admin.token, roomId))).toEqual(CONFLICT);
    expect(refusalOf(await rest.patchMember(admin.token, roomId, admin.id, { role: 'member' }))).toEqual(
      CONFLICT,
    );
    expect(dataOf(await rest.patchMember(admin.token, roomId, moderator.id, { role: 'admin' })).role).toBe(
      'admin',
    );
    expect((await rest.leave(admin.token, roomId)).status).toBe(200);
    expect(refusalOf(await rest.getRoom(admin.token, roomId))).toEqual(NOT_FOUND);
  });

  test('a muted member reads and does not send, until the time is over', async () => {
    const roomId = await staffed();
    const mute = (until: string | null) =>
      rest.patchMember(moderator.token, roomId, member.id, { muted_until: until });
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    expect(dataOf(await mute(soon)).muted_until).toBe(soon);
    expect(refusalOf(await rest.send(member.token, roomId, { content: 'x' }))).toEqual({
      status: 403,
      code: 'muted',
    });
    expect((await rest.messages(member.token, roomId)).status).toBe(200);
    dataOf(await mute(new Date(Date.now() - 1_000).toISOString()));
    expect((await rest.send(member.token, roomId, { content: 'x' })).status).toBe(201);
  });
});

describe('joining and reading', () => {
  test('joining twice is 200 and counts once; leaving twice is refused as a stranger', async () => {
    const roomId = await staffed('public');
    for (let n = 0; n < 2; n++) expect((await rest.join(stranger.token, roomId)).status).toBe(200);
    expect(dataOf(await rest.getRoom(stranger.token, roomId)).member_count).toBe(4);
    expect((await rest.leave(stranger.token, roomId)).status).toBe(200);
    expect(dataOf(await rest.getRoom(stranger.token, roomId)).member_count).toBe(3);
  });

  test('a watermark starts at the head, moves forward only, at most to the head, and not by own sends', async () => {
    const roomId = await staffed('public');
    for (let n = 0; n < 3; n++) dataOf(await rest.send(admin.token, roomId, { content: `before ${n}` }));
    const late = await newAccount(rest, 'late');
    await rest.join(late.token, roomId);
    const mine = async () => must(dataOf(await rest.myRooms(late.token))[0]);
    expect(await mine()).toMatchObject({ last_read_seq: 3, unread_count: 0 });
    dataOf(await rest.send(late.token, roomId, { content: 'own' }));
    dataOf(await rest.send(admin.token, roomId, { content: 'after' }));
    expect(await mine()).toMatchObject({ last_read_seq: 3, unread_count: 2 });
    const read = (seq_no: number) => rest.post(`/rooms/${roomId}/read`, late.token, { seq_no });
    for (const [seqNo, expected] of [
      [4, 4],
      [2, 4],
      [1_000, 5],
    ] as const) {
      expect((await read(seqNo)).status).toBe(200);
      expect((await mine()).last_read_seq).toBe(expected);
    }
    expect((await mine()).unread_count).toBe(0);
  });
});
