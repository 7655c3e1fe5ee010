import { expect, test } from 'vitest';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import { newId, type RoomId } from '../../src/protocol/ids.js';
import { createRoomTurns } from '../../src/shard/room-turns.js';

const [here, there] = [newId<RoomId>(), newId<RoomId>()];

/** Turns that note when they begin and end when told. */
function recorder() {
  const turns = createRoomTurns();
  const began: string[] = [];
  const ends = new Map<string, Deferred<void>>();
  const take = (name: string, conn: number, rooms: RoomId[]): Promise<void> => {
    const end = deferred<void>();
    ends.set(name, end);
    return turns.run(conn, rooms, () => {
      began.push(name);
      return end.promise;
    });
  };
  return { turns, began, take, end: (name: string) => ends.get(name)?.resolve() };
}

test('a join behind a leave behind a join: each begins when the one before has ended', async () => {
  const { turns, began, take, end } = recorder();
  const all = [take('join', 1, [here]), take('leave', 1, [here]), take('join again', 1, [here])];
  expect(began).toEqual(['join']);
  end('join');
  await all[0];
  await new Promise(setImmediate);
  expect(began).toEqual(['join', 'leave']);
  end('leave');
  end('join again');
  await Promise.all(all);
  expect(began).toEqual(['join', 'leave', 'join again']);
  await new Promise(setImmediate);
  expect(turns.size).toBe(0);
});

test('other sockets and other rooms wait for nobody; a resume waits for all its rooms', () => {
  const { began, take } = recorder();
  void take('mine', 1, [here]);
  void take('theirs', 2, [here]);
  void take('elsewhere', 1, [there]);
  void take('resume', 1, [here, there]);
  expect(began).toEqual(['mine', 'theirs', 'elsewhere']);
});

test('a turn that fails lets the next one begin', async () => {
  const { turns, began, take, end } = recorder();
  const failed = turns.run(1, [here], () => Promise.reject(new Error('refused')));
  const next = take('next', 1, [here]);
  await expect(failed).rejects.toThrow('refused');
  end('next');
  await next;
  expect(began).toEqual(['next']);
});
