import type { HttpRequest } from 'uWebSockets.js';

/**
 * Whether it can be read in two ways where a request ends. uWebSockets refuses Content-Length beside Transfer-Encoding
 * and lengths that are no numbers, but it takes the first of two lengths and any coding for `chunked`: a proxy in front
 * that takes the other one would let a client slip a request into somebody else's connection.
 */
export function isAmbiguous(req: HttpRequest): boolean {
  const coding = req.getHeader('transfer-encoding');
  if (coding === '' && req.getHeader('content-length') === '') return false;
  if (coding !== '' && coding.trim().toLowerCase() !== 'chunked') return true;
  let lengths = 0;
  let hosts = 0;
  req.forEach((name) => {
    if (name === 'content-length' || name === 'transfer-encoding') lengths++;
    else if (name === 'host') hosts++;
  });
  return lengths > 1 || hosts > 1;
}
