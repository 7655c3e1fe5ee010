import type { HttpResponse } from 'uWebSockets.js';
import { isUtf8 } from 'node:buffer';
import { problem, Refusal } from '../protocol/errors.js';
import { parseStrictJson } from '../protocol/strict-json.js';
import type { Validate } from '../protocol/validate.js';
import type { Exchange } from './http-exchange.js';

/**
 * Collects a request's body. A body over the cap, declared or real, is answered with 413 at once and the
 * connection closed, without reading the rest. Call it synchronously in the handler.
 *
 * @param keep false: only counts, and resolves with an empty buffer
 * @returns null where the exchange was closed meanwhile; never rejects
 */
export function collectBody(
  res: HttpResponse,
  exchange: Exchange,
  contentLength: string,
  capBytes: number,
  keep: boolean,
): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const tooLarge = (): void => {
      exchange.refuse(problem('payload_too_large'), { close: true });
      resolve(null);
    };
    if (Number(contentLength) > capBytes) {
      tooLarge();
      return;
    }
    exchange.whenAborted(() => resolve(null));
    const chunks: Buffer[] = [];
    let bytes = 0;
    res.onData((chunk, isLast) => {
      if (!exchange.isOpen()) {
        resolve(null);
        return;
      }
      bytes += chunk.byteLength;
      if (bytes > capBytes) {
        tooLarge();
        return;
      }
      // uWebSockets takes the chunk back when this returns: copy it.
      if (keep && chunk.byteLength > 0) chunks.push(Buffer.from(new Uint8Array(chunk)));
      if (isLast) resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
  });
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
