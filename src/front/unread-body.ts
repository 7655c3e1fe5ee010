import type { HttpRequest, HttpResponse } from 'uWebSockets.js';

/**
 * What is still read of a refused body, and dropped: most clients look for their answer only when they have sent what
 * they have, and lose it where the connection is closed on them meanwhile. As many bytes as the sockets of both sides
 * hold of an upload that was held back, twice. Whoever sends more is answered, and not read any more.
 */
const LINGER_BYTES = 16 * 1_024 * 1_024;
const LINGER_MS = 1_000;

/** Hears of each piece of the body that is dropped. */
export type Dropped = (bytes: number, last: boolean) => void;

/**
 * Answers a refused request when its client can see it: at the body's end, or where that is far.
 *
 * @param answer called once the body has ended (`unread` false) or has been read for long enough (true); more calls
 * may follow, which an exchange ignores
 */
export function linger(answer: (unread: boolean) => void): Dropped {
  let dropped = 0;
  const timer = setTimeout(() => answer(true), LINGER_MS);
  return (bytes, last) => {
    dropped += bytes;
    if (!last && dropped <= LINGER_BYTES) return;
    clearTimeout(timer);
    answer(!last);
  };
}

/** The same for a request whose body nobody would read; one without a body is answered at once. */
export function lingerOver(res: HttpResponse, req: HttpRequest, answer: (unread: boolean) => void): void {
  const length = req.getHeader('content-length');
  if ((length === '' || length === '0') && req.getHeader('transfer-encoding') === '') return answer(false);
  const dropped = linger(answer);
  res.onData((chunk, last) => dropped(chunk.byteLength, last));
}
