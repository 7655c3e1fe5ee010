import { afterEach, expect, test } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { createJoins, type JoinOutcome } from '../../src/rooms/joins.js';
import type { JoinState } from '../../src/rooms/reading-port.js';
import { createSequencer } from '../../src/rooms/sequencer.js';

const user = newId<UserId>();
const room = newId<RoomId>();
const sequencer = createSequencer(
  { heads: async () => [], changesAfter: async () => ({ head: null, changes: [] }) },
  { publish: () => {}, resync: () => {} },
  () => {},
);
afterEach(() => sequencer.close());

/** A join whose read is under way until `read` is called. */
function joinUnderWay(waiting: () => boolean = () => true) {
  const answer = deferred<(JoinState | null)[]>();
  const joins = createJoins(
    { joinStates: () => answer.promise },
    { messagesAfter: async () => [] },
    sequencer,
  );
  const outcomes: JoinOutcome[] = [];
  const who = { user_id: user, encoding: 'json', waiting } as const;
  const ended = joins.join(who, [{ room_id: room }], (all) => outcomes.push(...all));
  const read = async () => {
    const counters = { joined_ms: 1, last_read_seq: 0, head_seq: 3, head_rev: 3, member_count: 2 };
    answer.resolve([{ room_id: room, room_type: 'private', role: 'member', ...counters }]);
    await ended;
  };
  return { joins, outcomes, read };
}

test('a join is granted at the head it was read at', async () => {
  const { outcomes, read } = joinUnderWay();
  await read();
  expect(outcomes).toMatchObject([{ room_id: room, head_rev: 3, unread_count: 3 }]);
  expect(sequencer.listeners(room).json).toBe(1);
  sequencer.release(room, 'json');
});

test.each([
  ['the user', user],
  ['everybody', null],
])('a join that races the removal of %s ends in not_found and grants nothing', async (_, removed) => {
  const { joins, outcomes, read } = joinUnderWay();
  joins.revoke(room, removed);
  await read();
  expect(outcomes).toMatchObject([{ room_id: room, code: 'not_found' }]);
  expect(sequencer.listeners(room).json).toBe(0);
});

test('a join that was answered otherwise meanwhile grants nothing and says nothing', async () => {
  const { outcomes, read } = joinUnderWay(() => false);
  await read();
  expect(outcomes).toEqual([]);
  expect(sequencer.listeners(room).json).toBe(0);
});
