import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { newId, type RoomId } from '../../src/protocol/ids.js';
import type { Message } from '../../src/protocol/model.js';
import type { LogEvent } from '../../src/rooms/events.js';
import { LogUnavailable } from '../../src/rooms/log-errors-port.js';
import type { LoggedMessage, MessageLog } from '../../src/rooms/ports.js';
import { createSequencer, type Hold, type Sequencer } from '../../src/rooms/sequencer.js';
import { must } from '../helpers/deadline.js';

const AT = '2026-01-02T03:04:05.678Z';

/** A log in memory, that can be away. */
class FakeLog implements Pick<MessageLog, 'changesAfter' | 'heads'> {
  readonly rooms = new Map<RoomId, LoggedMessage[]>();
  away = false;
  reads = 0;

  async heads(room_ids: readonly RoomId[]) {
    if (this.away) throw new LogUnavailable();
    return room_ids.filter((room) => this.rooms.has(room)).map((room) => this.head(room));
  }

  async changesAfter(room_id: RoomId, rev: number, limit: number) {
    this.reads++;
    if (this.away) throw new LogUnavailable();
    if (!this.rooms.has(room_id)) return { head: null, changes: [] };
    const later = this.of(room_id).filter(({ message }) => message.rev > rev);
    const head = this.head(room_id);
    const changes = head.head_rev - rev > limit ? [] : later.sort((a, b) => a.message.rev - b.message.rev);
    return { head, changes };
  }

  head(room_id: RoomId) {
    const messages = this.of(room_id).map(({ message }) => message);
    return { room_id, head_seq: messages.length, head_rev: Math.max(0, ...messages.map(({ rev }) => rev)) };
  }

  send(room_id: RoomId): LogEvent {
    const { head_rev, head_seq } = this.head(room_id);
    const rev = head_rev + 1;
    const plain = {
      type: 'text' as const,
      content: `text ${rev}`,
      metadata: {},
      mentions: [],
      reply_to: null,
    };
    const unused = { thread_root: null, thread_count: 0, pinned: false, reactions: [], attachments: [] };
    const times = { edited: false, edited_at: null, created_at: AT, updated_at: AT, deleted_at: null };
    const ids = { id: newId(), room_id, user_id: newId(), username: 'ann', seq_no: head_seq + 1, rev };
    const message: Message = { ...ids, ...plain, ...unused, ...times };
    this.of(room_id).push({ message, created_rev: rev, edit_revs: [], marks: [] });
    return { room_id, rev, type: 'new_message', message };
  }

  /** Edits the message of that seq_no, or deletes it. */
  change(room_id: RoomId, seq_no: number, type: 'message_updated' | 'message_deleted'): LogEvent {
    const messages = this.of(room_id);
    const old = must(messages[seq_no - 1]);
    const rev = this.head(room_id).head_rev + 1;
    const edit = type === 'message_updated';
    const now = edit ? { content: `edit ${rev}`, edited: true } : { content: '', deleted_at: AT };
    const message = { ...old.message, ...now, rev };
    messages[seq_no - 1] = { ...old, message, edit_revs: edit ? [...old.edit_revs, rev] : old.edit_revs };
    return { room_id, rev, type, message };
  }

  private of(room_id: RoomId): LoggedMessage[] {
    return must(this.rooms.get(room_id));
  }
}

let log: FakeLog;
let published: LogEvent[];
let resyncs: [RoomId, number][];
let reported: unknown[];
let sequencer: Sequencer;

beforeEach(() => {
  vi.useFakeTimers();
  log = new FakeLog();
  [published, resyncs, reported] = [[], [], []];
  const sink = {
    publish: (event: LogEvent) => void published.push(event),
    resync: (room: RoomId, rev: number) => void resyncs.push([room, rev]),
  };
  sequencer = createSequencer(log, sink, (error) => reported.push(error));
});

afterEach(() => {
  sequencer.close();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const revsOf = (events: readonly LogEvent[], room?: RoomId) =>
  events.filter((event) => room === undefined || event.room_id === room).map((event) => event.rev);
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);

function newRoom(messages = 0): RoomId {
  const room = newId<RoomId>();
  log.rooms.set(room, []);
  for (let i = 0; i < messages; i++) log.send(room);
  return room;
}

function opened(room: RoomId): Hold {
  const hold = sequencer.hold(room);
  hold.opened(log.head(room));
  return hold;
}

/** A room that one socket has joined. */
function joined(messages = 0, room = newRoom(messages)): RoomId {
  const hold = opened(room);
  hold.grant('json');
  hold.end();
  return room;
}

test('events offered out of order are published in order, each once', async () => {
  const [one, two] = [joined(), joined()];
  const events = upTo(20).flatMap(() => [log.send(one), log.send(two)]);
  const shuffled = [...events].sort((a, b) => ((a.rev * 7) % 11) - ((b.rev * 7) % 11));
  for (const event of shuffled) sequencer.offer([event]);
  sequencer.offer(shuffled);
  for (const room of [one, two]) expect(revsOf(published, room)).toEqual(upTo(20));
  await pass(20_000);
  expect([published.length, log.reads, sequencer.totals.gapsFilled]).toEqual([40, 0, 0]);
});

test('a gap is filled from the log after 100 ms, not before', async () => {
  const room = joined();
  const events = upTo(4).map(() => log.send(room));
  sequencer.offer([must(events[0]), must(events[3])]);
  await pass(99);
  expect(revsOf(published)).toEqual([1]);
  await pass(1);
  expect(published).toEqual(events);
  sequencer.offer(events); // late
  expect(published).toHaveLength(4);
  expect(sequencer.totals.gapsFilled).toBe(3);
});

test('a gap is filled once the log is back', async () => {
  const room = joined();
  log.away = true;
  sequencer.offer([log.send(room), log.send(room), log.send(room)].slice(1));
  await pass(3_000);
  expect(published).toEqual([]);
  expect(reported[0]).toBeInstanceOf(LogUnavailable);
  log.away = false;
  await pass(300);
  expect(revsOf(published)).toEqual([1, 2, 3]);
});

test('superseded changes come at their own rev with the state of the message as it is', async () => {
  const room = joined();
  log.send(room); // 1
  log.send(room); // 2
  log.change(room, 1, 'message_updated'); // 3
  log.change(room, 1, 'message_updated'); // 4
  log.change(room, 2, 'message_updated'); // 5
  log.change(room, 2, 'message_deleted'); // 6
  sequencer.offer([log.send(room)]); // 7
  await pass(100);
  const told = published.map(({ rev, type, message }) => [rev, type, message.seq_no, message.content]);
  expect(told).toEqual([
    [1, 'new_message', 1, 'edit 4'],
    [2, 'new_message', 2, ''],
    [3, 'message_updated', 1, 'edit 4'],
    [4, 'message_updated', 1, 'edit 4'],
    [5, 'message_updated', 2, ''],
    [6, 'message_deleted', 2, ''],
    [7, 'new_message', 3, 'text 7'],
  ]);
  expect(resyncs).toEqual([]);
});

test('what cannot be rebuilt leads to one resync, after which the room goes on', async () => {
  for (const lost of ['a row', 'too many rows']) {
    const room = joined();
    if (lost === 'too many rows') for (let i = 0; i < 1_000; i++) log.send(room);
    else [log.send(room), log.send(room), must(log.rooms.get(room)).splice(0, 1)];
    const last = log.send(room);
    sequencer.offer([last]);
    await pass(20_000);
    expect(resyncs.filter(([of]) => of === room)).toEqual([[room, last.rev]]);
    sequencer.offer([log.send(room)]);
    expect(revsOf(published, room).at(-1)).toBe(last.rev + 1);
  }
  expect(reported).toHaveLength(2);
});

test.each(['refuses', 'hangs'])(
  'a gap that a log which %s keeps from being read is told of in time',
  async (how) => {
    const room = joined(1);
    log.away = true;
    if (how === 'hangs') vi.spyOn(log, 'changesAfter').mockReturnValue(new Promise(() => {}));
    sequencer.offer([log.send(room), log.send(room)].slice(1));
    await pass(7_900);
    expect([resyncs, published]).toEqual([[], []]);
    await pass(1_000);
    expect([resyncs, published]).toEqual([[[room, 3]], []]);
    sequencer.offer([log.send(room)]);
    expect(revsOf(published)).toEqual([4]);
    await pass(20_000);
    expect([resyncs.length, published.length]).toEqual([1, 1]);
  },
);

test('a poll of heads that hangs does not keep the next ones waiting', async () => {
  const room = joined();
  const heads = vi.spyOn(log, 'heads').mockImplementationOnce(() => new Promise(() => {}));
  while (heads.mock.calls.length === 0) await pass(500);
  log.send(room);
  await pass(3_000);
  expect(revsOf(published)).toEqual([1]);
});

test('gaps that are filled one after the other are no reason to tell of them', async () => {
  const room = joined(1);
  for (let second = 0; second < 20; second++) {
    sequencer.offer([log.send(room), log.send(room)].slice(1));
    log.away = second % 3 !== 2;
    await pass(1_000);
  }
  expect(resyncs).toEqual([]);
});

test.each([1, 20, 200])(
  'a head of which no event tells is published within 10 s (%i rooms)',
  async (count) => {
    const rooms = upTo(count).map(() => joined(1));
    await pass(3_300);
    for (const room of rooms) log.send(room);
    await pass(10_600); // a round, up to POLL_EVERY_MS until it begins, and the wait for the missing event
    for (const room of rooms) expect(revsOf(published, room)).toEqual([2]);
  },
);

test.each(['released', 'joined'])('nor does it take longer after others were %s in a round', async (how) => {
  const rooms = upTo(200).map(() => joined());
  await pass(500);
  if (how === 'released') for (const room of rooms) sequencer.release(room, 'json');
  log.send(joined());
  await pass(10_600);
  expect(revsOf(published)).toEqual([1]);
});

test('what happens between hold and grant is neither lost nor repeated', async () => {
  const room = newRoom(3);
  const hold = sequencer.hold(room);
  sequencer.offer([log.send(room)]); // 4, which the read will hold
  const read = log.head(room);
  const [five, six, seven] = [log.send(room), log.send(room), log.send(room)];
  sequencer.offer([six, five]);
  expect(published).toEqual([]);
  hold.opened(read);
  await hold.reached(4);
  sequencer.offer([seven]);
  expect(hold.state()).toEqual({ head_rev: 7, head_seq: 7 });
  expect(hold.eventsAfter(4)).toEqual([five, six, seven]);
  expect(hold.eventsAfter(6)).toEqual([seven]);
  hold.grant('msgpack');
  hold.end();
  expect(sequencer.listeners(room)).toEqual({ json: 0, msgpack: 1 });
  published.length = 0;
  sequencer.offer([seven, log.send(room)]);
  expect(revsOf(published)).toEqual([8]);
});

test('a read that lies behind the one that opened the room misses nothing either', async () => {
  const room = newRoom(3);
  const [slow, fast] = [sequencer.hold(room), sequencer.hold(room)];
  const read = log.head(room); // the slow one's, at 3
  sequencer.offer([log.send(room), log.send(room)]); // 4 and 5
  fast.opened(log.head(room));
  slow.opened(read);
  await slow.reached(read.head_rev);
  expect(slow.state().head_rev).toBe(5);
  expect(slow.covers(read.head_rev)).toBe(false); // so the join reads again
  expect(fast.covers(5)).toBe(true);
});

test('a join that has read further than is published waits for the rest, up to 2 s', async () => {
  const room = joined();
  log.send(room);
  const hold = opened(room);
  const reached = hold.reached(1);
  await pass(100);
  await reached;
  expect(revsOf(published)).toEqual([1]);
  log.away = true;
  log.send(room);
  hold.opened(log.head(room));
  const refused = expect(hold.reached(2)).rejects.toMatchObject({ problem: { code: 'unavailable' } });
  await pass(2_000);
  await refused;
});

test('rooms are tracked while somebody holds or listens, and no longer', async () => {
  const room = joined(2);
  const hold = opened(room);
  hold.grant('msgpack');
  hold.end();
  sequencer.release(room, 'json');
  sequencer.offer([log.send(room)]);
  expect(revsOf(published)).toEqual([3]);
  log.send(room);
  sequencer.offer([log.send(room)]); // a gap, which nobody waits for any more
  sequencer.release(room, 'msgpack');
  opened(room).end();
  expect(sequencer.totals.trackedRooms()).toBe(0);
  sequencer.offer([log.send(room)]);
  await pass(20_000);
  expect([revsOf(published), log.reads, vi.getTimerCount()]).toEqual([[3], 0, 1]); // the poll's timer
});

test('restored rooms catch up from what their sockets have seen', async () => {
  const [behind, even] = [newRoom(5), newRoom(3)];
  sequencer.restore([
    { room_id: behind, rev: 2, json: 1, msgpack: 2 },
    { room_id: even, rev: 3, json: 1, msgpack: 0 },
  ]);
  expect(sequencer.listeners(behind)).toEqual({ json: 1, msgpack: 2 });
  await pass(100);
  expect(revsOf(published, behind)).toEqual([3, 4, 5]);
  expect(revsOf(published, even)).toEqual([]);
  const hold = opened(even);
  expect(hold.state()).toEqual({ head_rev: 3, head_seq: 3 });
  hold.end();
  sequencer.offer([log.send(even)]);
  expect(revsOf(published, even)).toEqual([4]);
});

test('2,000 events are kept behind a gap; those beyond come from the log', async () => {
  const room = joined();
  const events = upTo(2_500).map(() => log.send(room));
  sequencer.offer(events.slice(1));
  expect(published).toEqual([]);
  sequencer.offer(events.slice(0, 1));
  expect([published.length, log.reads]).toEqual([2_001, 0]);
  await pass(200);
  expect(revsOf(published)).toEqual(upTo(2_500));
  expect(log.reads).toBe(1);
});

test('2,000 events are kept for a join that takes its time; one more, and it has to be asked for again', () => {
  const room = joined();
  const hold = opened(room);
  for (const event of upTo(2_000).map(() => log.send(room))) sequencer.offer([event]);
  expect(hold.eventsAfter(0)).toHaveLength(2_000);
  sequencer.offer([log.send(room)]);
  expect(() => hold.eventsAfter(0)).toThrow(
    expect.objectContaining({ problem: expect.objectContaining({ code: 'overloaded' }) }),
  );
  hold.end();
});
