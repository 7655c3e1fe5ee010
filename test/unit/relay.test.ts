import { afterEach, expect, test } from 'vitest';
import { createMemoryHub, memoryBus } from '../../src/bus/memory-bus.js';
import type { Bus } from '../../src/bus/port.js';
import { newId, partitionOf, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Message } from '../../src/protocol/model.js';
import type { LogEvent } from '../../src/rooms/events.js';
import { connectRelay } from '../../src/shard/relay.js';
import { must, until } from '../helpers/deadline.js';

const AT = '2026-01-02T03:04:05.678Z';
const DEEPEST_METADATA = 31; // in a REST body, whose nesting MAX_DEPTH limits to 32
const hub = createMemoryHub();
const buses: Bus[] = [];

afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});

/** A shard of a node, with what its relay offered and what it complained of. */
async function shard(nodeId: string, where = { shard: 0, shards: 1 }) {
  const bus = memoryBus(hub, nodeId);
  buses.push(bus);
  const offered: LogEvent[] = [];
  const warnings: unknown[] = [];
  const log = { warn: (warning: unknown) => void warnings.push(warning) };
  const relay = await connectRelay(bus, where, (events) => offered.push(...events), log);
  return { relay, bus, offered, warnings };
}

function event(room_id: RoomId, rev: number, more: Partial<Message> = {}): LogEvent {
  const plain = { type: 'text' as const, content: `text ${rev}`, metadata: {}, mentions: [], reply_to: null };
  const unused = { thread_root: null, thread_count: 0, pinned: false, reactions: [], attachments: [] };
  const times = { edited: false, edited_at: null, created_at: AT, updated_at: AT, deleted_at: null };
  const ids = { id: newId(), room_id, user_id: newId(), username: 'ann', seq_no: rev, rev };
  return { room_id, rev, type: 'new_message', message: { ...ids, ...plain, ...unused, ...times, ...more } };
}

/** Batches of several rooms, each room's revs rising through all of them. */
function batches(rooms: readonly RoomId[], count: number): LogEvent[][] {
  return Array.from({ length: count }, (_, round) =>
    [2, 1].flatMap((back) => rooms.map((room) => event(room, 2 * (round + 1) - back + 1))),
  );
}

function ofRoom(events: readonly LogEvent[], room: RoomId): LogEvent[] {
  return events.filter((one) => one.room_id === room);
}

test('batches arrive at the other node complete and in order, and never at the own', async () => {
  const [a, b] = [await shard('a'), await shard('b')];
  const rooms = Array.from({ length: 100 }, () => newId<RoomId>()); // more than there are partitions
  const sent = batches(rooms, 20);
  for (const batch of sent) a.relay.publish(batch);
  await until(() => b.offered.length >= sent.flat().length, 'the events at the other node');
  for (const room of rooms) {
    expect(ofRoom(b.offered, room)).toEqual(ofRoom(sent.flat(), room));
    expect(ofRoom(b.offered, room).map(({ rev }) => rev)).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
  }
  expect(b.offered).toHaveLength(sent.flat().length);
  // Whatever were on its way to the own node would have come before an answer to it.
  const answer = event(must(rooms[0]), 41);
  b.relay.publish([answer]);
  await until(() => a.offered.length > 0, 'the answer');
  expect(a.offered).toEqual([answer]);
  expect([a.warnings, b.warnings]).toEqual([[], []]);
});

test('every kind of event arrives as it was, whatever its characters', async () => {
  const [a, b] = [await shard('a'), await shard('b')];
  const room = newId<RoomId>();
  const sent: LogEvent[] = [
    event(room, 1, {
      content: '"\\ 🙂 \r\n\t مرحبا \u202e',
      metadata: { a: [1, -2.5, 2 ** 40, null, true, { '': 'x' }], ключ: '' },
      mentions: [newId(), newId()],
      reply_to: newId(),
    }),
    { ...event(room, 2, { edited: true, edited_at: AT }), type: 'message_updated' },
    { ...event(room, 3, { content: '', deleted_at: AT }), type: 'message_deleted' },
    { ...event(room, 4), type: 'reaction_added', user_id: newId(), emoji: '👍🏽', count: 100_000 },
    { ...event(room, 5), type: 'reaction_removed', user_id: newId(), emoji: ':tada:', count: 0 },
    { ...event(room, 6, { pinned: true }), type: 'message_pinned', user_id: newId() },
    { ...event(room, 7), type: 'message_unpinned', user_id: newId() },
    event(room, 2 ** 33, { content: 'x'.repeat(70_000) }),
  ];
  a.relay.publish(sent);
  await until(() => b.offered.length >= sent.length, 'the events');
  expect(b.offered).toEqual(sent);
  expect(b.warnings).toEqual([]);
});

test('metadata as deep as a client may send it arrives', async () => {
  const [a, b] = [await shard('a'), await shard('b')];
  const room = newId<RoomId>();
  let metadata: Record<string, unknown> = { a: 1 };
  for (let depth = DEEPEST_METADATA; depth > 1; depth--) metadata = { a: metadata };
  const sent = [event(room, 1, { metadata })];
  a.relay.publish(sent);
  await until(() => b.offered.length + b.warnings.length > 0, 'the event or a warning');
  expect(b.warnings).toEqual([]);
  expect(b.offered).toEqual(sent);
});

test('a message that a batch changed often goes over the bus once', async () => {
  const [a, b] = [memoryBus(hub, 'a'), await shard('b')];
  buses.push(a);
  const sizes: number[] = [];
  const measured: Bus = {
    ...a,
    publish: (partition, entry) => {
      sizes.push(entry.byteLength);
      a.publish(partition, entry);
    },
  };
  const relay = await connectRelay(measured, { shard: 0, shards: 1 }, () => {}, { warn: () => {} });
  const { message, room_id } = event(newId(), 1, { content: 'x'.repeat(20_000) });
  const sent = Array.from({ length: 100 }, (_, i): LogEvent => {
    const reaction = { user_id: newId<UserId>(), emoji: '👍', count: i + 1 };
    return { room_id, rev: i + 1, message, type: 'reaction_added', ...reaction };
  });
  relay.publish(sent);
  await until(() => b.offered.length === sent.length, 'the events');
  expect(b.offered).toEqual(sent);
  expect(sizes).toHaveLength(1);
  expect(sizes[0]).toBeLessThan(60_000);
});

test('a shard hears of its own partitions only', async () => {
  const a = await shard('a');
  const shards = [await shard('b', { shard: 0, shards: 2 }), await shard('b', { shard: 1, shards: 2 })];
  const rooms = Array.from({ length: 40 }, () => newId<RoomId>());
  a.relay.publish(rooms.map((room) => event(room, 1)));
  const all = () => shards.flatMap((one) => one.offered);
  await until(() => all().length >= rooms.length, 'the events');
  expect(all()).toHaveLength(rooms.length);
  shards.forEach((one, index) => {
    expect(one.offered.every((offered) => partitionOf(offered.room_id) % 2 === index)).toBe(true);
  });
});

test('an entry that cannot be read is reported, and the next one arrives', async () => {
  const [a, b] = [await shard('a'), await shard('b')];
  const sent = event(newId<RoomId>(), 1);
  const partition = partitionOf(sent.room_id);
  a.bus.publish(partition, new Uint8Array([0xc1]));
  a.relay.publish([sent]);
  await until(() => b.offered.length > 0, 'the event');
  expect(b.offered).toEqual([sent]);
  expect(b.warnings).toEqual([expect.objectContaining({ event: 'bus_entry_unreadable', partition })]);
});
