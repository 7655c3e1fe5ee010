/**
 * Lets a bounded number run at a time, and of each user a few: users take turns, each one's in the order of his asking.
 * Whoever has waited for longer than `waitMs` isn't run any more: by the time it were done nobody would wait for it,
 * and the time is better spent on the next.
 */
export interface JoinSlots {
  /** Runs it in its turn. @throws what `late` makes, or what it throws itself */
  run<T>(user_id: string, work: () => Promise<T>): Promise<T>;
}

interface User {
  readonly waiting: { readonly askedAt: number; readonly begin: (late: boolean) => void }[];
  running: number;
  /** Whether he is among those whose turn comes. */
  queued: boolean;
}

export function createJoinSlots(options: {
  readonly atOnce: number;
  readonly ofUserAtOnce: number;
  readonly waitMs: number;
  readonly late: () => Error;
}): JoinSlots {
  /** Those who have something waiting or running. */
  const users = new Map<string, User>();
  /** Those who have something waiting and may begin it. */
  const turns: User[] = [];
  let running = 0;

  function queue(user: User): void {
    if (user.queued || user.waiting.length === 0 || user.running >= options.ofUserAtOnce) return;
    user.queued = true;
    turns.push(user);
  }

  function next(): void {
    while (running < options.atOnce) {
      const user = turns.shift();
      if (user === undefined) return;
      user.queued = false;
      const first = user.waiting.shift();
      if (first === undefined) continue;
      const isLate = performance.now() - first.askedAt > options.waitMs;
      if (!isLate) {
        running++;
        user.running++;
      }
      queue(user);
      first.begin(isLate);
    }
  }

  function forget(user_id: string, user: User): void {
    if (user.running === 0 && user.waiting.length === 0) users.delete(user_id);
  }

  return {
    async run(user_id, work) {
      const user = users.get(user_id) ?? { waiting: [], running: 0, queued: false };
      users.set(user_id, user);
      const isLate = await new Promise<boolean>((begin) => {
        user.waiting.push({ askedAt: performance.now(), begin });
        queue(user);
        next();
      });
      if (isLate) {
        forget(user_id, user);
        throw options.late();
      }
      try {
        return await work();
      } finally {
        running--;
        user.running--;
        queue(user);
        next();
        forget(user_id, user);
      }
    },
  };
}
