import { type Deferred, deferred } from './deferred.js';

/**
 * Makes fewer and larger calls of many small ones. The first goes at once; what is asked for while it is under way goes
 * together in the next, in the order it came. Where a call fails, so does everything that went with it.
 *
 * @param ask gives an answer for each of what it is asked, in their order
 * @param max asked for in one call, unless it was asked for as one
 */
export function gathered<Asked, Answer>(
  ask: (all: readonly Asked[]) => Promise<readonly Answer[]>,
  max: number,
): (asked: readonly Asked[]) => Promise<readonly Answer[]> {
  interface Waiting extends Deferred<readonly Answer[]> {
    readonly asked: readonly Asked[];
  }
  let waiting: Waiting[] = [];
  let asking = false;

  async function run(): Promise<void> {
    asking = true;
    await Promise.resolve(); // what is asked for in this turn goes together
    while (waiting.length > 0) {
      const together = take();
      try {
        const answers = await ask(together.flatMap(({ asked }) => asked));
        let at = 0;
        for (const { asked, resolve } of together) {
          resolve(answers.slice(at, at + asked.length));
          at += asked.length;
        }
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    asking = false;
  }

  function take(): readonly Waiting[] {
    let size = 0;
    let count = 0;
    for (const { asked } of waiting) {
      if (count > 0 && size + asked.length > max) break;
      size += asked.length;
      count++;
    }
    const taken = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return taken;
  }

  return (asked) => {
    const each = { ...deferred<readonly Answer[]>(), asked };
    waiting.push(each);
    if (!asking) void run();
    return each.promise;
  };
}
