/**
 * Does something again and again, `pauseMs` after it last ended.
 * @param work is told by `stopped` that nobody wants the rest of it
 * @param report hears of what it throws
 * @returns what stops it; a round that is under way ends by itself
 */
export function repeat(
  pauseMs: number,
  work: (stopped: () => boolean) => Promise<void>,
  report: (error: unknown) => void,
  firstMs = pauseMs,
): () => void {
  let stopped = false;
  let timer = setTimeout(round, firstMs);
  async function round(): Promise<void> {
    try {
      await work(() => stopped);
    } catch (error) {
      report(error);
    }
    if (!stopped) timer = setTimeout(round, pauseMs);
  }
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
