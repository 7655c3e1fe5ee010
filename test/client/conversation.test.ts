import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isLogEvent } from '../../client/src/events.js';
import {
  type Client,
  createApi,
  createHttp,
  createSession,
  history,
  NotFoundError,
  type RoomEvent,
  type Tokens,
} from '../../client/src/index.js';
import { must, until } from '../helpers/deadline.js';
import {
  type Account,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { clientOf, ENCODINGS } from './fixture.js';

let server: Server;
let rest: Rest;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2' });
  rest = restClient(server.url);
  [ann, bob] = await Promise.all([newAccount(rest, 'ann'), newAccount(rest, 'bob')]);
});

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close(); // those of a failed test as well
});

/** The next event of a type, taken from an iterator. */
async function next(events: AsyncIterator<RoomEvent>, type: string): Promise<RoomEvent> {
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error(`no ${type} any more`);
    if (value.type === type) return value;
  }
}

describe.each(ENCODINGS)('two clients talk in %s', (encoding) => {
  async function talk(): Promise<{ anns: Client; bobs: Client; roomId: string }> {
    const room = await newRoom(rest, ann, [bob]);
    const anns = clientOf(server.url, ann, { encoding });
    const bobs = clientOf(server.url, bob, { encoding });
    clients.push(anns, bobs);
    await Promise.all([anns.connect(), bobs.connect()]);
    return { anns, bobs, roomId: room.id };
  }

  test('sends, edits and deletions reach the other in order, as events and in the timeline', async () => {
    const { anns, bobs, roomId } = await talk();
    const mine = anns.room(roomId);
    const theirs = bobs.room(roomId);
    await Promise.all([mine.join(), theirs.join()]);
    const events = theirs.events();
    const metadata = { a: [1, 2.5, null, { b: 'ü' }] };
    const first = mine.send({ content: 'one 😀', metadata });
    const second = mine.send('two');
    expect(mine.pending().map(({ body }) => body.content)).toEqual(['one 😀', 'two']);
    expect(await first.sent).toMatchObject({ id: first.id, seq_no: 1, rev: 1, duplicate: false });
    await second.sent;
    await mine.edit(first.id, 'one, edited');
    await mine.delete(second.id);
    const heard: RoomEvent[] = [];
    for await (const event of events) {
      if (isLogEvent(event) && heard.push(event) === 4) break; // presence comes when it likes
    }
    expect(heard).toMatchObject([
      { type: 'new_message', rev: 1, live: true, message: { content: 'one 😀', metadata, user_id: ann.id } },
      { type: 'new_message', rev: 2, message: { content: 'two', seq_no: 2 } },
      { type: 'message_updated', rev: 3, message_id: first.id, message: { content: 'one, edited' } },
      { type: 'message_deleted', rev: 4, message_id: second.id, seq_no: 2 },
    ]);
    for (const room of [mine, theirs]) {
      expect(room.messages().map(({ content, rev }) => [content, rev])).toEqual([
        ['one, edited', 3],
        ['', 4],
      ]);
      expect(room.position()).toEqual({ rev: 4, seq: 2 });
    }
    expect([mine.pending(), anns.outbox()]).toEqual([[], []]);
    await expect(mine.edit(second.id, 'again')).rejects.toBeInstanceOf(NotFoundError);
    anns.close();
    bobs.close();
  });

  test('reactions and pins reach the other, and stand in the timeline as in the history', async () => {
    const { anns, bobs, roomId } = await talk();
    const mine = anns.room(roomId);
    const theirs = bobs.room(roomId);
    await Promise.all([mine.join(), theirs.join()]);
    const { id } = await mine.send('to be liked').sent;
    await theirs.react(id, '👍');
    await mine.react(id, '👍');
    await mine.react(id, '🎉');
    await mine.unreact(id, '🎉');
    await mine.pin(id);
    await until(() => [mine, theirs].every((room) => room.position()?.rev === 6), 'six changes');
    const [stored] = (await createApi(anns.http).messages(roomId)).items;
    expect(stored).toMatchObject({ pinned: true, reactions: [{ emoji: '👍', user_ids: [ann.id, bob.id] }] });
    expect([mine.messages(), theirs.messages()]).toEqual([[stored], [stored]]);
    await expect(theirs.unpin(id)).rejects.toMatchObject({ code: 'forbidden' });
    anns.close();
    bobs.close();
  });

  test('who types, comes and goes, and has read is known to the other', async () => {
    const { anns, bobs, roomId } = await talk();
    const theirs = bobs.room(roomId);
    await theirs.join();
    const heard: RoomEvent[] = [];
    bobs.on('room', (event) => void heard.push(event));
    const told = (type: string, ms?: number) => {
      const isAnns = (event: RoomEvent) =>
        event.type === type && 'user_id' in event && event.user_id === ann.id;
      return until(() => heard.find(isAnns), type, ms);
    };
    await anns.room(roomId).join();
    await told('user_online');
    anns.room(roomId).typing();
    await told('user_typing');
    expect(theirs.typingUsers()).toEqual([{ user_id: ann.id, username: ann.username }]);
    const { seq_no } = await anns.room(roomId).send('typed').sent;
    await told('user_stopped_typing');
    expect(theirs.typingUsers()).toEqual([]);
    anns.room(roomId).markRead(seq_no);
    expect(await told('read_receipt')).toMatchObject({ seq_no });
    anns.close();
    await told('user_offline', 20_000); // the server waits whether they come back
    bobs.close();
  });

  test('a read mark moves once for many, and the server knows it', async () => {
    const { anns, bobs, roomId } = await talk();
    for (const content of ['1', '2', '3']) await anns.room(roomId).send(content).sent;
    const room = bobs.room(roomId);
    await room.join();
    for (const seq of [1, 2, 3]) room.markRead(seq);
    const api = createApi(bobs.http);
    await until(async () => {
      const info = await api.room(roomId);
      return 'unread_count' in info && info.unread_count === 0;
    }, 'the read mark');
    expect(room.lastRead()).toBe(3);
    anns.close();
    bobs.close();
  });

  test('joining later, older messages are loaded, and a whole room is read from its beginning', async () => {
    const { anns, bobs, roomId } = await talk();
    for (let i = 1; i <= 7; i++) await anns.room(roomId).send(`${i}`).sent;
    const contents = (client: Client) =>
      client
        .room(roomId)
        .messages()
        .map(({ content }) => content);
    await bobs.room(roomId).join();
    expect(contents(bobs)).toEqual([]);
    expect(await bobs.room(roomId).loadOlder(4)).toBe(4);
    await anns.room(roomId).send('8').sent;
    await until(() => contents(bobs).length === 5, 'the new message');
    expect(contents(bobs)).toEqual(['4', '5', '6', '7', '8']);
    expect([await bobs.room(roomId).loadOlder(4), await bobs.room(roomId).loadOlder(4)]).toEqual([3, 0]);
    const whole = clientOf(server.url, bob, { encoding });
    await whole.connect();
    await whole.room(roomId).join({ from: { rev: 0, seq: 0 } });
    await until(() => contents(whole).length === 8, 'the whole room');
    const paged: string[] = [];
    for await (const message of history(bobs.http, roomId, { pageSize: 3 })) paged.unshift(message.content);
    expect([contents(whole), contents(bobs)]).toEqual([paged, paged]);
    for (const client of [anns, bobs, whole]) client.close();
  });

  test('a room that is long behind catches up by many answers', async () => {
    const { anns, bobs, roomId } = await talk();
    const content = 'x'.repeat(4_000); // so that one answer of 256 KiB holds only some of them
    for (let i = 0; i < 60; i++) {
      await rest.send(ann.token, roomId, { content: `${i} ${content}` });
    }
    const room = bobs.room(roomId);
    await room.join({ from: { rev: 0, seq: 0 } });
    await until(() => room.messages().length === 60, 'all messages');
    expect(room.messages().map(({ seq_no }) => seq_no)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    anns.close();
    bobs.close();
  });

  test('who is removed hears it, and may not come back', async () => {
    const { anns, bobs, roomId } = await talk();
    const room = bobs.room(roomId);
    await room.join();
    const events = room.events();
    await createApi(anns.http).removeMember(roomId, bob.id);
    expect(await next(events, 'removed_from_room')).toMatchObject({ room_id: roomId });
    expect((await events.next()).done).toBe(true);
    expect(room.state()).toBe('apart');
    await expect(room.join()).rejects.toMatchObject({ code: 'not_a_member' });
    await expect(room.send('hello?').sent).rejects.toMatchObject({ name: 'ForbiddenError' });
    expect(bobs.outbox()).toMatchObject([{ state: 'failed', error: { code: 'not_a_member' } }]);
    anns.close();
    bobs.close();
  });

  test('who is added to a room, or asks for one that there isn’t, is told', async () => {
    const { anns, bobs } = await talk();
    const added: string[] = [];
    bobs.on('room_added', ({ room_id }) => void added.push(room_id));
    const api = createApi(anns.http);
    const room = await api.createRoom({ type: 'private', name: freshName('room') });
    await api.addMember(room.id, { user_id: bob.id });
    await until(() => added.includes(room.id), 'room_added');
    const nowhere = bobs.room('00000000-0000-4000-8000-000000000000');
    await expect(nowhere.join()).rejects.toBeInstanceOf(NotFoundError);
    anns.close();
    bobs.close();
  });
});

test('a slow consumer of events is given the state, and goes on from there', async () => {
  const room = await newRoom(rest, ann, [bob]);
  const client = clientOf(server.url, bob);
  await client.connect();
  const mine = client.room(room.id);
  await mine.join();
  const events = mine.events({ buffer: 3 });
  for (let i = 1; i <= 6; i++) await rest.send(ann.token, room.id, { content: `${i}` });
  await until(() => mine.messages().length === 6, 'six messages');
  const { value } = await events.next();
  expect(value).toMatchObject({ type: 'reset', rev: 6 });
  expect(value.messages).toHaveLength(6);
  await rest.send(ann.token, room.id, { content: '7' });
  expect((await events.next()).value).toMatchObject({ type: 'new_message', rev: 7 });
  client.close();
});

test('a session registers, signs in and out, and what it is given it gives away', async () => {
  const saved: (Tokens | null)[] = [];
  const session = createSession({ url: server.url, save: (tokens) => void saved.push(tokens) });
  const username = freshName('carl');
  const account = { username, email: `${username}@example.org`, password: 'a long password' };
  expect(await session.register(account)).toMatchObject({ username });
  const api = createApi(createHttp({ url: server.url, token: session.token }));
  expect(await api.me()).toMatchObject({ username, email: account.email });
  await session.token(await session.token());
  expect(new Set(saved.map((tokens) => tokens?.refresh_token)).size).toBe(2);
  expect((await api.sessions()).length).toBe(1);
  await session.logout();
  await expect(api.me()).rejects.toMatchObject({ code: 'signed_out' });
  await expect(session.login({ email: account.email, password: 'a wrong password' })).rejects.toMatchObject({
    code: 'invalid_credentials',
  });
  await session.login({ email: account.email, password: account.password });
  expect((await api.me()).username).toBe(username);
  await expect(session.register(account)).rejects.toMatchObject({
    code: 'conflict',
    field: expect.any(String),
  });
});

test('every wait ends with its signal', async () => {
  const client = clientOf('http://127.0.0.1:9', ann);
  const gone = (): AbortSignal => AbortSignal.timeout(20);
  const room = client.room('00000000-0000-4000-8000-000000000000');
  await expect(client.connect({ signal: gone() })).rejects.toMatchObject({ name: 'TimeoutError' });
  await expect(room.join({ signal: gone() })).rejects.toMatchObject({ name: 'TimeoutError' });
  await expect(room.edit('x', 'y', { signal: gone() })).rejects.toMatchObject({ name: 'TimeoutError' });
  const already = AbortSignal.abort(new Error('never mind'));
  await expect(createApi(client.http).me({ signal: already })).rejects.toThrow('never mind');
  expect((await room.events({ signal: already }).next()).done).toBe(true);
  client.close();
  await expect(room.edit('x', 'y')).rejects.toMatchObject({ code: 'closed' });
});

test('without a server a call says so, and may be tried again', async () => {
  const client = clientOf('http://127.0.0.1:9', ann);
  await expect(createApi(client.http).me()).rejects.toMatchObject({ code: 'disconnected', retry: true });
});

test('the api’s lists have pages', async () => {
  const client = clientOf(server.url, ann);
  const api = createApi(client.http);
  const room = await newRoom(rest, ann, [bob]);
  const first = await api.members(room.id, { limit: 1 });
  const second = await api.members(room.id, { limit: 1, after: must(first.next) });
  expect([first.items[0]?.user_id, second.items[0]?.user_id, second.next]).toEqual([ann.id, bob.id, null]);
  const sent = await api.sendMessage(room.id, { content: 'by REST' });
  expect((await api.messages(room.id, { around: sent.id })).items).toMatchObject([{ content: 'by REST' }]);
  expect(await api.updateRoom(room.id, { description: 'what it is for' })).toMatchObject({
    description: 'what it is for',
  });
});
