import type { HttpResponse } from 'uWebSockets.js';

/** Writes an answer's body piece by piece, no faster than the client reads. */
export interface BodyWriter {
  /** Takes the next piece; the pieces must come to the length that was promised. */
  write(bytes: Uint8Array): void;
  /** The rest won't come: closes the connection, so that the client doesn't take a part for the whole. */
  fail(): void;
  /** The connection is gone: uWebSockets forbids touching the response from here on. */
  aborted(): void;
}

/** @param length of the whole body, in bytes @param written hears of every piece that has gone to the socket */
export function bodyWriter(res: HttpResponse, length: number, written: (bytes: number) => void): BodyWriter {
  const queue: Uint8Array[] = [];
  let done = false;
  /** The piece that the socket has taken a part of, and where in the body it begins. */
  let blocked: { readonly piece: Uint8Array; readonly at: number } | null = null;

  /** @returns whether the socket took all of it */
  function send(bytes: Uint8Array): boolean {
    let [ok, finished] = [false, false];
    res.cork(() => {
      [ok, finished] = res.tryEnd(bytes, length);
    });
    if (finished) done = true;
    return ok || finished;
  }

  function flush(): void {
    while (!done && blocked === null) {
      const piece = queue.shift();
      if (piece === undefined) return;
      const at = res.getWriteOffset();
      if (send(piece)) written(piece.length);
      else blocked = { piece, at };
    }
  }

  res.onWritable((offset) => {
    if (done || blocked === null) return true;
    const { piece, at } = blocked;
    if (!send(piece.subarray(offset - at))) return false;
    blocked = null;
    written(piece.length);
    flush();
    return true;
  });

  return {
    write(bytes) {
      if (done) return;
      queue.push(bytes);
      flush();
    },
    fail() {
      if (done) return;
      done = true;
      res.close();
    },
    aborted() {
      done = true;
      queue.length = 0;
    },
  };
}
