import { deferred } from '../lib/deferred.js';
import type { MovedMark, ReadMark } from './ports.js';

/**
 * Gathers watermarks while a statement is under way: one statement moves all, the furthest of each user and
 * room. Resolves once committed.
 * @param store moves them forward only, and at most to the room's head; gives those that did move
 * @param moved hears of these, in the order of the statements, before the promise resolves
 */
export function createReadMarks(
  store: (marks: readonly ReadMark[]) => Promise<MovedMark[]>,
  moved: (marks: readonly MovedMark[]) => void,
) {
  let marks = new Map<string, ReadMark>();
  let next = deferred<void>();
  let running = false;

  async function run(): Promise<void> {
    running = true;
    await Promise.resolve();
    while (marks.size > 0) {
      const batch = [...marks.values()];
      const done = next;
      marks = new Map();
      next = deferred<void>();
      await store(batch).then(moved).then(done.resolve, done.reject);
    }
    running = false;
  }

  return (mark: ReadMark): Promise<void> => {
    const key = `${mark.room_id}:${mark.user_id}`;
    const seq_no = Math.max(mark.seq_no, marks.get(key)?.seq_no ?? 0);
    marks.set(key, { ...mark, seq_no });
    const { promise } = next;
    if (!running) void run();
    return promise;
  };
}
