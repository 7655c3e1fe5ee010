import type { HttpResponse } from 'uWebSockets.js';
import { isUtf8 } from 'node:buffer';
import { problem, Refusal } from '../protocol/errors.js';
import { parseStrictJson } from '../protocol/strict-json.js';
import type { Validate } from '../protocol/validate.js';
import type { BodyBudget } from './body-budget.js';
import type { Exchange } from './http-exchange.js';
import { type Dropped, linger } from './unread-body.js';

const PIECE_BYTES = 512; // what keeping a piece costs beside its bytes: a body may come one by one

/** A request's body on its way. */
export interface IncomingBody {
  /** All of it; null where the exchange was closed, or is being refused. Never rejects. */
  readonly whole: Promise<Buffer | null>;
  /** Answers before the body has ended, when the client can see it: at once where the rest of it is known to be small. */
  early(answer: (unread: boolean) => void): void;
}

/**
 * Collects a request's body. Over the cap, declared or real, nothing of it is kept and the exchange is refused with 413.
 * Beyond the budget of all bodies it is refused with 503. Call it synchronously in the handler.
 *
 * @param contentLength the header: '' where the body's length isn't said
 * @param budget what the pieces are taken from until the body is whole; null: only counts, and gives an empty buffer
 * @returns null where the declared length is over the cap
 */
export function collectBody(
  res: HttpResponse,
  exchange: Exchange,
  contentLength: string,
  capBytes: number,
  budget: BodyBudget | null,
): IncomingBody | null {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let held = 0;
  let ended = false;
  let dropped: Dropped | null = null;
  const refusal =
    (code: 'payload_too_large' | 'overloaded') =>
    (unread: boolean): void =>
      exchange.refuse(problem(code), { unread });
  const letGo = (): void => {
    chunks.length = 0;
    budget?.give(held);
    held = 0;
  };
  if (Number(contentLength) > capBytes) dropped = linger(refusal('payload_too_large'));
  const isTooLarge = dropped !== null;

  const whole = new Promise<Buffer | null>((resolve) => {
    const end = (body: Buffer | null): void => {
      letGo();
      resolve(body);
    };
    exchange.whenAborted(() => end(null));
    res.onData((chunk, last) => {
      ended = last;
      if (!exchange.isOpen()) return end(null);
      const size = chunk.byteLength;
      if (dropped !== null) return dropped(size, last);
      bytes += size;
      const isOver = bytes > capBytes;
      if (isOver || budget?.take(size + PIECE_BYTES) === false) {
        dropped = linger(refusal(isOver ? 'payload_too_large' : 'overloaded'));
        dropped(size, last);
        return end(null);
      }
      if (budget !== null && size > 0) {
        held += size + PIECE_BYTES;
        chunks.push(Buffer.from(new Uint8Array(chunk))); // uWebSockets takes the chunk back when this returns
      }
      if (last) end(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
  });
  return isTooLarge
    ? null
    : {
        whole,
        early(answer) {
          letGo();
          if (ended || contentLength !== '') answer(false);
          else dropped ??= linger(answer);
        },
      };
}

/**
 * Decodes and checks a collected JSON body.
 *
 * @throws Refusal `bad_request` or `unsupported_media_type`
 */
export function decodeBody<T>(bytes: Buffer, contentType: string, validate: Validate<T>): T {
  if (bytes.length === 0) throw new Refusal('bad_request', { sentence: 'A body is required.' });
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') throw new Refusal('unsupported_media_type');
  if (!isUtf8(bytes)) throw new Refusal('bad_request', { sentence: 'The body is not valid UTF-8.' });
  // A byte order mark survives the decoding, and is no JSON.
  return validate(parseStrictJson(bytes.toString('utf8')));
}
