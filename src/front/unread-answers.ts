import type { HttpResponse } from 'uWebSockets.js';

/**
 * Answers that their clients read slowly, or never. What a socket doesn't take of a body is held here, in a bounded
 * number of bytes, and goes as the client reads:
 *
 *   begun ──the socket has taken all──► gone
 *     └──a part──► held ──read──► gone
 *                   └──READ_WITHIN_MS, or (uWebSockets) 10 s in which nothing was read──► connection closed
 *
 * Left to itself, uWebSockets keeps any number of answers for a client that sends one request after the other and reads
 * none. While one is held here it closes the connection at the next request, as it takes one at a time.
 */
const HELD_MAX_BYTES = 128 * 1_024 * 1_024; // in a process
const HELD_OF_ADDRESS_MAX_BYTES = 16 * 1_024 * 1_024; // a network of clients has one address: 160 pages of 100 KB
/** Answers up to here are always begun: refusals, and what tells that something was written. A connection may hold as much. */
export const SMALL_BYTES = 64 * 1_024; // the largest message is some 40 KB
const READ_WITHIN_MS = 30_000; // the largest page, of 2.4 MB, at 80 KB/s

export interface UnreadAnswers {
  /** Whether an answer of so many bytes may be begun: all of it may have to be held. Where not, it is counted as refused. */
  hasRoom(address: string, bytes: number): boolean;
  /**
   * Ends a response whose head is written, within its cork. Where a part of the body has to be held, gives what to call
   * when the response is aborted; otherwise null.
   */
  end(res: HttpResponse, body: string | Uint8Array, address: () => string): (() => void) | null;
  /** Held at present. */
  bytes(): number;
}

/** @param refused hears of an answer that there is no room for */
export function createUnreadAnswers(
  refused: () => void,
  {
    maxBytes = HELD_MAX_BYTES,
    ofAddressMaxBytes = HELD_OF_ADDRESS_MAX_BYTES,
    withinMs = READ_WITHIN_MS,
  } = {},
): UnreadAnswers {
  const byAddress = new Map<string, number>(); // as many as have an answer held
  let all = 0;

  function hold(address: string, bytes: number): void {
    const held = (byAddress.get(address) ?? 0) + bytes;
    if (held === 0) byAddress.delete(address);
    else byAddress.set(address, held);
    all += bytes;
  }

  return {
    hasRoom(address, bytes) {
      const fits = all + bytes <= maxBytes && (byAddress.get(address) ?? 0) + bytes <= ofAddressMaxBytes;
      if (!fits) refused();
      return fits;
    },

    end(res, body, addressOf) {
      const length = Buffer.byteLength(body);
      const [, whole] = res.tryEnd(body, length);
      if (whole) return null;
      const from = res.getWriteOffset();
      const bytes = typeof body === 'string' ? Buffer.from(body) : body;
      const rest = Buffer.from(bytes.subarray(from)); // a copy: the body is a part of something larger
      const address = addressOf();
      hold(address, rest.length);
      let isHeld = true;
      const letGo = (): void => {
        if (!isHeld) return;
        isHeld = false;
        clearTimeout(timer);
        hold(address, -rest.length);
      };
      const timer = setTimeout(() => res.close(), withinMs);
      timer.unref();
      res.onWritable((offset) => {
        let [taken, finished] = [false, false];
        res.cork(() => {
          [taken, finished] = res.tryEnd(rest.subarray(offset - from), length);
        });
        if (finished) letGo();
        return taken || finished;
      });
      return letGo;
    },

    bytes: () => all,
  };
}
