import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import { newId, type RoomId } from '../../src/protocol/ids.js';
import { searchUpkeep } from '../../src/shard/search-upkeep.js';
import type { RoomBehind } from '../../src/store/search-index.js';
import { must } from '../helpers/deadline.js';

const BATCH = 250; // of the upkeep
const [one, two, three] = [newId<RoomId>(), newId<RoomId>(), newId<RoomId>()];

let began: number;

beforeEach(() => {
  vi.useFakeTimers();
  began = Date.now();
});
afterEach(() => vi.useRealTimers());

interface Writing extends Deferred<RoomBehind[]> {
  readonly rooms: readonly RoomId[];
}

/** Keeps what is written open until told. */
function upkeep(looks: RoomBehind[][] | null = null) {
  const writings: Writing[] = [];
  const errors: unknown[] = [];
  const mergeWords = vi.fn(async () => {});
  const roomsBehind = vi.fn(async () => looks?.shift() ?? []);
  const { changed, waiting, close } = searchUpkeep({
    writeWords: (rooms) => {
      const writing = { rooms, ...deferred<RoomBehind[]>() };
      writings.push(writing);
      return writing.promise;
    },
    mergeWords,
    roomsBehind: looks === null ? null : roomsBehind,
    report: (error) => errors.push(error),
  });
  const change = (room_id: RoomId, times = 1) => {
    for (let i = 0; i < times; i++) changed(room_id);
  };
  return { change, waiting, close, writings, errors, mergeWords, roomsBehind };
}

const passed = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const done = (writing: Writing | undefined, behind = 0) =>
  writing?.resolve(writing.rooms.map((room_id) => ({ room_id, behind })));

async function nth(writings: readonly Writing[], n: number): Promise<Writing> {
  while (writings.length < n) await passed(1);
  return must(writings[n - 1]);
}

describe('the upkeep of the search index', () => {
  it('writes what has changed half a second later, merges it, and then has nothing to do', async () => {
    const { change, waiting, writings, mergeWords } = upkeep();
    await passed(10_000);
    change(one);
    change(two, 2);
    await passed(499);
    expect(writings).toHaveLength(0);
    await passed(1);
    expect(writings.map(({ rooms }) => rooms)).toEqual([[one, two]]);
    done(writings[0]);
    await passed(10_000);
    expect(writings).toHaveLength(1);
    expect(mergeWords).toHaveBeenCalledTimes(1);
    expect(waiting()).toBe(0);
  });

  it('takes a batch at a time, one after the other, and goes on with what is left or came meanwhile', async () => {
    const { change, waiting, writings, mergeWords } = upkeep();
    change(one, BATCH - 1);
    change(two, 2);
    change(three, 3 * BATCH);
    await nth(writings, 1);
    change(one);
    await passed(10);
    expect(writings.map(({ rooms }) => rooms)).toEqual([[one]]);
    done(writings[0]);
    done(await nth(writings, 2));
    const large = await nth(writings, 3);
    expect(mergeWords).not.toHaveBeenCalled();
    done(large, 2 * BATCH);
    done(await nth(writings, 4));
    done(await nth(writings, 5));
    await passed(10);
    expect(writings.map(({ rooms }) => rooms)).toEqual([[one], [two], [three], [one], [three]]);
    expect(mergeWords).toHaveBeenCalledTimes(1);
    expect(waiting()).toBe(0);
  });

  it('gives others the most of the time, and less of it the more there is to do', async () => {
    const pauseAfter = async (messages: number): Promise<number> => {
      const { change, writings, close } = upkeep();
      change(one, BATCH);
      change(two, messages);
      await passed(500);
      await passed(30); // so long it takes
      done(writings[0]);
      await passed(0);
      const from = Date.now();
      await nth(writings, 2);
      close();
      return Date.now() - from;
    };
    expect(await pauseAfter(BATCH)).toBeGreaterThan(150);
    expect(await pauseAfter(100_000)).toBeLessThan(40);
    expect(await pauseAfter(200_000)).toBeLessThan(2);
  });

  it('tries again what another had, and what failed, which it reports', async () => {
    const { change, waiting, writings, errors } = upkeep();
    change(one);
    await passed(500);
    writings[0]?.resolve([]);
    await passed(500);
    expect(writings[1]?.rooms).toEqual([one]);
    writings[1]?.reject(new Error('away'));
    await passed(0);
    expect(errors).toHaveLength(1);
    expect(waiting()).toBe(1);
    await passed(1_000);
    expect(writings[2]?.rooms).toEqual([one]);
  });

  it('looks for rooms of which nobody told when it begins, soon again where they are many, else now and again', async () => {
    const many = Array.from({ length: 10_000 }, () => ({ room_id: newId<RoomId>(), behind: 1 }));
    const { change, waiting, writings, roomsBehind } = upkeep([many, [{ room_id: one, behind: 7 }]]);
    await passed(0);
    expect(roomsBehind).toHaveBeenCalledTimes(1);
    expect(waiting()).toBe(9_800); // and 200 under way
    for (let n = 1; n <= 50; n++) {
      const writing = await nth(writings, n);
      expect(writing.rooms).toHaveLength(200);
      expect(roomsBehind).toHaveBeenCalledTimes(1);
      done(writing);
    }
    const last = await nth(writings, 51);
    expect(roomsBehind).toHaveBeenCalledTimes(2);
    expect(last.rooms).toEqual([one]);
    done(last);
    // However busy it is kept meanwhile.
    for (let n = 52; roomsBehind.mock.calls.length < 3; n++) {
      change(two);
      done(await nth(writings, n));
    }
    expect(Date.now() - began).toBeGreaterThanOrEqual(310_000);
    expect(Date.now() - began).toBeLessThan(312_000);
  });

  it('knows no more rooms than it may', async () => {
    const { change, waiting } = upkeep();
    for (let n = 0; n < 100_001; n++) change(`room-${n}` as RoomId);
    change('room-0' as RoomId);
    expect(waiting()).toBe(100_001);
  });

  it('does nothing once closed', async () => {
    const { change, close, writings } = upkeep();
    change(one);
    close();
    change(two);
    await passed(10_000);
    expect(writings).toHaveLength(0);
  });
});
