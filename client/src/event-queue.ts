/**
 * Events for one consumer that takes them at its own pace. Where it falls behind by more than `limit`, what it hasn't taken
 * is let go; the next thing it gets is `state()`, from which the events after it go on.
 */
export interface EventQueue<E> extends AsyncIterableIterator<E> {
  readonly push: (event: E) => void;
  /** What was pushed before can still be taken. */
  readonly end: () => void;
}

export function createEventQueue<E>(limit: number, state: () => E, onEnd: () => void): EventQueue<E> {
  let buffer: E[] = [];
  let lagged = false;
  let ended = false;
  const takers: ((result: IteratorResult<E>) => void)[] = [];

  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const taker of takers.splice(0)) taker({ done: true, value: undefined });
    onEnd();
  };
  const queue: EventQueue<E> = {
    push(event) {
      if (ended || lagged) return;
      const taker = takers.shift();
      if (taker !== undefined) return taker({ done: false, value: event });
      buffer.push(event);
      if (buffer.length <= limit) return;
      buffer = [];
      lagged = true;
    },
    end,
    next: async () => {
      if (lagged) {
        lagged = false;
        return { done: false, value: state() };
      }
      const event = buffer.shift();
      if (event !== undefined) return { done: false, value: event };
      if (ended) return { done: true, value: undefined };
      return new Promise((resolve) => void takers.push(resolve));
    },
    return: async () => {
      buffer = [];
      lagged = false;
      end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => queue,
  };
  return queue;
}
