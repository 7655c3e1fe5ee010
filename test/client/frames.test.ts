import { afterEach, expect, test, vi } from 'vitest';
import { createClient, type Frame, type RoomEvent } from '../../client/src/index.js';
import { must, until } from '../helpers/deadline.js';
import { messageOf } from './message-of.js';

/** A WebSocket whose other side is the test: what the protocol says, frame by frame. */
class Wire {
  static last: Wire | null = null;
  binaryType = '';
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror = null;
  readonly sent: Frame[] = [];

  constructor() {
    Wire.last = this;
    queueMicrotask(() => this.receive({ type: 'welcome', payload: { limits: { resume_rooms: 2 } } }));
  }
  send(data: string): void {
    this.sent.push(JSON.parse(data) as Frame);
  }
  close(): void {}
  receive(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  async asked(type: string): Promise<Frame> {
    return until(() => this.sent.findLast((frame) => frame.type === type), type);
  }
  answer(request: Frame, type: string, payload: unknown, times = 1): void {
    const { room_id, ref } = request;
    for (let n = 0; n < times; n++) this.receive({ type, payload, room_id, ref } as Frame);
  }
}

const ANSWER_MS = 10_000; // how long the client waits for an answer, by default

const clients: { close: () => void }[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  vi.useRealTimers();
});

async function joined() {
  const client = createClient({
    url: 'http://x',
    token: async () => 'token',
    WebSocket: Wire,
    backoff: { baseMs: 1 },
  });
  clients.push(client);
  await client.connect();
  const wire = must(Wire.last);
  const room = client.room('r');
  const events: RoomEvent[] = [];
  client.on('room', (event) => void events.push(event));
  const joining = room.join({ from: { rev: 0, seq: 0 } });
  const answer = {
    room_id: 'r',
    role: 'member',
    head_seq: 1,
    head_rev: 1,
    last_read_seq: 0,
    unread_count: 1,
  };
  wire.answer(await wire.asked('join_room'), 'joined', {
    ...answer,
    messages: [messageOf(1)],
    next_since: 1,
  });
  await joining;
  events.length = 0;
  return { client, wire, room, events, answer };
}
const log = (type: string, rev: number, payload: object): Frame => ({
  type,
  room_id: 'r',
  rev,
  payload,
  timestamp: 0,
});

test('reactions and pins are events of the log, and change the timeline', async () => {
  const { wire, room, events } = await joined();
  wire.receive(log('reaction_added', 2, { message_id: 'm1', emoji: '👍', user_id: 'a', count: 1 }));
  wire.receive(log('message_pinned', 3, { message_id: 'm1', user_id: 'a' }));
  wire.receive(log('reaction_removed', 4, { message_id: 'm1', emoji: '👍', user_id: 'a', count: 0 }));
  wire.receive(log('message_unpinned', 5, { message_id: 'm1', user_id: 'a' }));
  expect(events.map((event) => event.type)).toEqual([
    'reaction_added',
    'message_pinned',
    'reaction_removed',
    'message_unpinned',
  ]);
  expect(room.messages()).toEqual([messageOf(1, 5, { content: 'content 1' })]);
  const reacting = room.react('m1', '🎉');
  const request = await wire.asked('add_reaction');
  expect(request).toMatchObject({ room_id: 'r', payload: { message_id: 'm1', emoji: '🎉' } });
  wire.answer(request, 'ok', { message_id: 'm1', rev: 6 });
  await reacting;
});

test('a change of a later protocol keeps its place in the order', async () => {
  const { wire, room, events } = await joined();
  wire.receive(log('message_translated', 2, { message_id: 'm1', to: 'fr' }));
  wire.receive(log('new_message', 3, { message: messageOf(2, 3) }));
  expect(events.map((event) => [event.type, 'rev' in event ? event.rev : null])).toEqual([
    ['message_translated', 2],
    ['new_message', 3],
  ]);
  expect(room.position()).toEqual({ rev: 3, seq: 2 });
});

test('a jump of rev, and a resync, make it sync', async () => {
  const { wire, room, events } = await joined();
  wire.receive(log('new_message', 3, { message: messageOf(3) }));
  expect(events).toEqual([]);
  const first = await wire.asked('sync');
  expect(first).toMatchObject({ room_id: 'r', payload: { since: 1, limit: 500 } });
  wire.answer(first, 'synced', { messages: [messageOf(2)], head_rev: 3, next_since: 2, more: true });
  expect(events).toMatchObject([
    { type: 'new_message', rev: 2, live: false },
    { type: 'new_message', rev: 3, live: true },
  ]);
  wire.receive({ type: 'resync', payload: { rooms: [{ room_id: 'r', head_rev: 4 }] } });
  const second = await until(() => wire.sent.filter(({ type }) => type === 'sync')[1], 'another sync');
  wire.answer(second, 'synced', { messages: [messageOf(2, 4)], head_rev: 4, next_since: 4, more: false });
  expect(events.at(-1)).toMatchObject({ type: 'message_updated', rev: 4, live: false });
  expect(room.messages().map(({ rev }) => rev)).toEqual([1, 4, 3]);
});

test('a sync that is refused for now is asked again', async () => {
  const { wire, room } = await joined();
  wire.receive(log('new_message', 3, { message: messageOf(3) }));
  wire.answer(await wire.asked('sync'), 'error', { code: 'unavailable', retry: true, retry_after_ms: 1 });
  const again = await until(() => wire.sent.filter(({ type }) => type === 'sync')[1], 'another sync');
  wire.answer(again, 'synced', {
    messages: [messageOf(2), messageOf(3)],
    head_rev: 3,
    next_since: 3,
    more: false,
  });
  expect(room.position()).toEqual({ rev: 3, seq: 3 });
});

test('rooms are resumed in frames of as many as the server takes, and one that is gone ends', async () => {
  const { client, wire, room, answer } = await joined();
  const others = ['s', 't'].map((id) => client.room(id));
  for (const other of others) {
    const joining = other.join();
    const request = await until(() => wire.sent.find(({ room_id }) => room_id === other.id), 'join');
    wire.answer(request, 'joined', { ...answer, room_id: other.id });
    await joining;
  }
  const ended = room.events();
  wire.onclose?.({ code: 1006 });
  const next = await until(() => (Wire.last === wire ? null : Wire.last), 'another connection');
  const frames = await until(() => {
    const resumes = next.sent.filter(({ type }) => type === 'resume');
    return resumes.length === 2 && resumes;
  }, 'two resumes');
  expect(frames.map(({ payload }) => payload)).toEqual([
    {
      rooms: [
        { room_id: 'r', since: 1 },
        { room_id: 's', since: 1 },
      ],
    },
    { rooms: [{ room_id: 't', since: 1 }] },
  ]);
  const gone = { room_id: 'r', code: 'not_found', error: 'gone', retry: false };
  next.answer(must(frames[0]), 'resumed', { rooms: [gone], last: false });
  const back = { ...answer, messages: [], next_since: 1 };
  next.answer(must(frames[0]), 'resumed', { rooms: [{ ...back, room_id: 's' }], last: true });
  expect([room.state(), must(others[0]).state(), must(others[1]).state()]).toEqual([
    'apart',
    'joined',
    'joining',
  ]);
  expect((await ended.next()).value).toMatchObject({ type: 'removed_from_room', code: 'not_found' });
  expect((await ended.next()).done).toBe(true);
});

test('a server that knows less than the client gives it a new beginning', async () => {
  const { wire, room, answer } = await joined();
  const events = room.events();
  wire.onclose?.({ code: 1006 });
  const next = await until(() => (Wire.last === wire ? null : Wire.last), 'another connection');
  const refusal = { room_id: 'r', code: 'invalid_since', error: '', retry: false };
  next.answer(await next.asked('resume'), 'resumed', { rooms: [refusal], last: true });
  const rejoin = await next.asked('join_room');
  expect(rejoin.payload).toEqual({});
  next.answer(rejoin, 'joined', { ...answer, head_rev: 0, head_seq: 0 });
  expect((await events.next()).value).toEqual({ type: 'reset', room_id: 'r', rev: 0, messages: [] });
});

test('typing and presence pass through, and typing is told', async () => {
  const { wire, room, events } = await joined();
  const who = { user_id: 'a', username: 'Ann' };
  wire.receive({ type: 'user_typing', room_id: 'r', payload: who });
  expect(room.typingUsers()).toEqual([who]);
  wire.receive({ type: 'user_offline', room_id: 'r', payload: who });
  expect(room.typingUsers()).toEqual([]);
  wire.receive({ type: 'read_receipt', room_id: 'r', payload: { user_id: 'a', seq_no: 1 } });
  expect(events.map(({ type }) => type)).toEqual(['user_typing', 'user_offline', 'read_receipt']);
  room.typing();
  room.typing();
  void room.send('what was typed').sent.catch(() => undefined);
  const types = wire.sent.map(({ type }) => type).filter((type) => type.startsWith('user_'));
  expect(types).toEqual(['user_typing', 'user_stopped_typing']);
});

test('a pending message stays shown until it stands in the room', async () => {
  const { wire, room } = await joined();
  const outgoing = room.send('mine');
  const request = await wire.asked('send_message');
  const contents = () => [room.messages().length, room.pending().length];
  expect(contents()).toEqual([1, 1]);
  const ack = { id: outgoing.id, seq_no: 2, rev: 2, created_at: '', duplicate: false };
  wire.answer(request, 'message_ack', ack);
  await outgoing.sent;
  expect(contents()).toEqual([1, 1]); // its event is late
  wire.receive(log('new_message', 2, { message: messageOf(2, 2, { id: outgoing.id }) }));
  expect(contents()).toEqual([2, 0]);
});

const ackOf = (id: string) => ({ id, seq_no: 2, rev: 2, created_at: '', duplicate: false });

test('an answer that comes twice is taken once, and is nobody’s event', async () => {
  const { client, wire, room, events, answer } = await joined();
  const others: unknown[] = [];
  client.on('notice', (notice) => void others.push(notice));
  client.on('error', (error) => void others.push(error));
  client.on('connected', (again) => void others.push(again));
  wire.receive({ type: 'welcome', payload: { limits: {} } });
  const { id, sent } = room.send('mine');
  wire.answer(await wire.asked('send_message'), 'message_ack', ackOf(id), 2);
  await sent;
  wire.answer(await wire.asked('join_room'), 'joined', { ...answer, messages: [], next_since: 1 }, 2);
  wire.receive(log('new_message', 3, { message: messageOf(3) }));
  const states = { messages: [messageOf(2, 2, { id })], head_rev: 3, next_since: 2, more: false };
  wire.answer(await wire.asked('sync'), 'synced', states, 2);
  wire.receive({ type: 'pong', payload: {} });
  const edit = room.edit('m1', 'edited');
  const refusal = { code: 'forbidden', error: 'not yours', retry: false };
  wire.answer(await wire.asked('edit_message'), 'error', refusal, 2);
  await expect(edit).rejects.toMatchObject({ code: 'forbidden' });
  expect(events.map((event) => [event.type, 'rev' in event && event.rev])).toEqual([
    ['new_message', 2],
    ['new_message', 3],
  ]);
  expect(others).toEqual([]);
  expect(room.position()).toEqual({ rev: 3, seq: 3 });
});

test('an answer that comes too late is nobody’s event either', async () => {
  const { client, wire, room, events, answer } = await joined();
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const others: unknown[] = [];
  client.on('notice', (notice) => void others.push(notice));
  client.on('error', (error) => void others.push(error));
  const again = ({ type, room_id, ref }: Frame): Promise<Frame> => {
    const isRepeat = (sent: Frame) => sent.type === type && sent.room_id === room_id && sent.ref !== ref;
    return until(() => wire.sent.find(isRepeat), `${type} once more`);
  };

  const { id, sent } = room.send('mine');
  const send = await wire.asked('send_message');
  wire.receive(log('new_message', 3, { message: messageOf(3) }));
  const sync = await wire.asked('sync');
  const other = client.room('s');
  const joining = other.join();
  const join = await wire.asked('join_room');
  vi.advanceTimersByTime(ANSWER_MS);
  const repeats = await Promise.all([send, sync, join].map(again));
  const states = { messages: [messageOf(2, 2, { id })], head_rev: 3, next_since: 2, more: false };
  const answerAll = ([toSend, toSync, toJoin]: readonly Frame[]) => {
    wire.answer(must(toSend), 'message_ack', ackOf(id));
    wire.answer(must(toSync), 'synced', states);
    wire.answer(must(toJoin), 'joined', { ...answer, room_id: 's' });
  };
  answerAll([send, sync, join]);
  expect(events).toEqual([]);
  expect(other.state()).toBe('joining');
  answerAll(repeats);
  await Promise.all([sent, joining]);
  expect(events.map((event) => 'rev' in event && event.rev)).toEqual([2, 3]);
  expect(others).toEqual([]);
});
