/** Bytes that come as messages, as a stream that somebody else reads at their own pace. */
export interface Feed extends AsyncIterable<Uint8Array> {
  push(bytes: Uint8Array): void;
  /** No more will come; with an error, reading fails at once. */
  end(error?: unknown): void;
}

/** @param taken hears of what the reader has taken, so that as much may be sent after it */
export function createFeed(taken: (bytes: number) => void): Feed {
  const waiting: Uint8Array[] = [];
  let ended: { readonly error: unknown } | null = null;
  let wake: (() => void) | null = null;

  function change(): void {
    wake?.();
    wake = null;
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (ended !== null && ended.error !== undefined) throw ended.error;
      const next = waiting.shift();
      if (next !== undefined) {
        taken(next.length);
        yield next;
      } else if (ended !== null) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  return {
    push(bytes) {
      if (ended !== null) return;
      waiting.push(bytes);
      change();
    },
    end(error) {
      if (ended !== null) return;
      ended = { error };
      if (error !== undefined) waiting.length = 0;
      change();
    },
    [Symbol.asyncIterator]: read,
  };
}
