/**
 * Lets a bounded number run at a time, in the order of their asking. Whoever has waited for longer than `waitMs` isn't
 * run any more: by the time it were done nobody would wait for it, and the time is better spent on the next.
 */
export interface JoinSlots {
  /** Runs it in its turn. @throws what `late` makes, or what it throws itself */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createJoinSlots(options: {
  readonly atOnce: number;
  readonly waitMs: number;
  readonly late: () => Error;
}): JoinSlots {
  const waiting: { readonly askedAt: number; readonly begin: (late: boolean) => void }[] = [];
  let running = 0;

  function next(): void {
    while (running < options.atOnce) {
      const first = waiting.shift();
      if (first === undefined) return;
      const isLate = performance.now() - first.askedAt > options.waitMs;
      if (!isLate) running++;
      first.begin(isLate);
    }
  }

  return {
    async run(work) {
      const isLate = await new Promise<boolean>((begin) => {
        waiting.push({ askedAt: performance.now(), begin });
        next();
      });
      if (isLate) throw options.late();
      try {
        return await work();
      } finally {
        running--;
        next();
      }
    },
  };
}
