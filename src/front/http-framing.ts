import type { HttpRequest } from 'uWebSockets.js';

/**
 * Whether it can be read in two ways where a request ends or whom it is for. uWebSockets refuses Content-Length beside
 * Transfer-Encoding and lengths that are no numbers, but it takes the first of two lengths or hosts, an empty length
 * for none and any coding for `chunked`: a proxy in front that takes the other one would let a client slip a request
 * into somebody else's connection.
 */
export function isAmbiguous(req: HttpRequest): boolean {
  let lengths = 0;
  let hosts = 0;
  let unclear = false;
  req.forEach((name, value) => {
    if (name === 'host') hosts++;
    else if (name === 'content-length') {
      lengths++;
      unclear ||= value.trim() === '';
    } else if (name === 'transfer-encoding') {
      lengths++;
      unclear ||= value.trim().toLowerCase() !== 'chunked';
    }
  });
  return unclear || lengths > 1 || hosts > 1;
}

/** The same of an upgrade, which has no body: what follows it is frames. */
export function isAmbiguousUpgrade(req: HttpRequest): boolean {
  const length = req.getHeader('content-length');
  return isAmbiguous(req) || (length !== '' && length !== '0') || req.getHeader('transfer-encoding') !== '';
}
