import { afterEach, expect, test } from 'vitest';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { Standing } from '../../src/rooms/ports.js';
import { createTyping, type Typing } from '../../src/rooms/typing.js';
import { refused } from '../helpers/room-world.js';

const open: Typing[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** Typing on a clock of the test's own, with what it said. */
function world(over: Partial<Standing> | null = {}) {
  let now = 1_000_000;
  const said: string[] = [];
  const member = {
    room_type: 'public',
    role: 'member',
    muted_until: null,
    username: 'ann',
    member_count: 2,
    slow_mode_s: 0,
  } as const;
  const typing = createTyping({
    admission: { of: () => (over === null ? null : { ...member, ...over }) },
    announcer: { toRoom: (_, type) => void said.push(type) },
    now: () => now,
  });
  open.push(typing);
  const ann = { user_id: newId<UserId>(), username: 'old name' };
  const room = newId<RoomId>();
  return {
    typing,
    ann,
    room,
    types: () => typing.heard(ann, room, true),
    stops: () => typing.heard(ann, room, false),
    after(ms: number): string[] {
      for (let passed = 0; passed < ms; passed += 500) {
        now += Math.min(500, ms - passed);
        typing.sweep();
      }
      return said.splice(0);
    },
  };
}

test('however often it is said, others hear it once in 3 s', async () => {
  const { types, after } = world();
  for (let n = 0; n < 100; n++) await types();
  expect(after(2_500)).toEqual(['user_typing']);
  await types();
  expect(after(500)).toEqual([]);
  await types();
  expect(after(0)).toEqual(['user_typing']);
});

test('it ends by itself 5 s after it was last said', async () => {
  const { types, after } = world();
  await types();
  after(2_500);
  await types();
  expect(after(4_500)).toEqual([]);
  expect(after(500)).toEqual(['user_stopped_typing']);
  expect(after(10_000)).toEqual([]);
});

test('starting and stopping in turn says no more than once in 3 s, and ends with the truth', async () => {
  const { types, stops, after } = world();
  for (let n = 0; n < 50; n++) {
    await types();
    await stops();
  }
  expect(after(0)).toEqual(['user_typing', 'user_stopped_typing']);
  await types();
  expect(after(2_500)).toEqual([]);
  expect(after(500)).toEqual(['user_typing']);
  await stops();
  expect(after(10_000)).toEqual(['user_stopped_typing']);
});

test('a message and the end of the last socket end it at once', async () => {
  const { typing, ann, room, types, after } = world();
  await types();
  typing.sent(room, ann.user_id);
  expect(after(0)).toEqual(['user_typing', 'user_stopped_typing']);
  after(5_000);
  await types();
  typing.gone(ann.user_id);
  expect(after(0)).toEqual(['user_typing', 'user_stopped_typing']);
});

test('a large room hears nothing', async () => {
  const { types, stops, after } = world({ member_count: 1_001 });
  await types();
  await stops();
  expect(after(10_000)).toEqual([]);
});

test('who may not send is refused; who is muted may stop', async () => {
  const muted = world({ muted_until: Date.now() + 60_000 });
  expect(await refused(muted.types())).toBe('muted');
  await muted.stops();
  expect(await refused(world({ role: null }).types())).toBe('not_a_member');
  expect(await refused(world({ role: null, room_type: 'private' }).stops())).toBe('not_found');
  expect(await refused(world(null).types())).toBe('not_found');
});

test('one who types everywhere is shown in 20 rooms', async () => {
  const { typing, ann, after } = world();
  for (let n = 0; n < 100; n++) await typing.heard(ann, newId<RoomId>(), true);
  expect(after(0)).toHaveLength(20);
  expect(after(10_000)).toEqual(Array(20).fill('user_stopped_typing'));
  await typing.heard(ann, newId<RoomId>(), true);
  expect(after(0)).toEqual(['user_typing']);
});
