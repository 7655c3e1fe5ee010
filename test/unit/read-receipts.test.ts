import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { createReadReceipts } from '../../src/rooms/read-receipts.js';

/** Receipts on a clock of the test's own, with what was sent: to whom, up to where. */
function world() {
  let now = 0;
  const sent: string[] = [];
  const seq = (payload: unknown) => (payload as { seq_no: number }).seq_no;
  const receipts = createReadReceipts(
    {
      toRoom: (_room, _type, payload) => void sent.push(`room ${seq(payload)}`),
      toUser: (_user, _room, _type, payload) => void sent.push(`user ${seq(payload)}`),
    },
    () => now,
  );
  const where = { room_id: newId<RoomId>(), user_id: newId<UserId>() };
  return {
    close: receipts.close,
    moved: (seq_no: number, member_count = 2) => receipts.moved([{ ...where, seq_no, member_count }]),
    other: (seq_no: number) =>
      receipts.moved([{ ...where, user_id: newId<UserId>(), seq_no, member_count: 2 }]),
    after(ms: number): string[] {
      now += ms;
      receipts.sweep();
      return sent.splice(0);
    },
  };
}

test('the first goes at once, then one a second, and the last always', () => {
  const { moved, after, close } = world();
  for (const seq of [1, 2, 3]) moved(seq);
  expect(after(0)).toEqual(['room 1']);
  expect(after(999)).toEqual([]);
  moved(4);
  expect(after(1)).toEqual(['room 4']);
  expect(after(1_000)).toEqual([]);
  moved(5);
  expect(after(0)).toEqual(['room 5']);
  close();
});

test('one user does not hold up another', () => {
  const { moved, other, after, close } = world();
  moved(1);
  other(7);
  expect(after(0)).toEqual(['room 1', 'room 7']);
  close();
});

test('in a large room the user’s own devices hear it, nobody else', () => {
  const { moved, after, close } = world();
  moved(3, 1_000);
  after(2_000);
  moved(4, 1_001);
  expect(after(1_000)).toEqual(['user 4']);
  close();
});

test('numbers only rise and end with the last, whatever the times', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 100, 250, 999, 1_000, 5_000), { maxLength: 40 }), (waits) => {
      const { moved, after, close } = world();
      const heard: number[] = [];
      const listen = (ms: number) =>
        heard.push(...after(ms).map((line) => Number(line.replace('room ', ''))));
      waits.forEach((ms, i) => {
        moved(i + 1);
        listen(ms);
      });
      listen(1_000);
      close();
      expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
      expect(heard.at(-1)).toBe(waits.length > 0 ? waits.length : undefined);
    }),
  );
});
