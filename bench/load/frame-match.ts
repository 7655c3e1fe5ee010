/** Steps over text that a server always writes in the same way: what the scans of other servers' protocols are made of. */
import { GIVE_UP } from './frame-scan.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

/** Digits of a whole number that is certainly exact in a double. */
const MAX_DIGITS = 15;

/** The number that afterNumber found last. */
export let matchedNumber = 0;

/** Position after `wanted` at `at`, or GIVE_UP if something else stands there. Takes GIVE_UP for `at`, and gives it back. */
export function after(wanted: Uint8Array, bytes: Uint8Array, at: number): number {
  if (at < 0) return GIVE_UP;
  for (let index = 0; index < wanted.length; index += 1) {
    if (bytes[at + index] !== wanted[index]) return GIVE_UP;
  }
  return at + wanted.length;
}

/** Position after the first `wanted` in `bytes[at, end)`. */
export function afterNext(wanted: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  if (at < 0) return GIVE_UP;
  for (let position = at; position <= end - wanted.length; position += 1) {
    if (bytes[position] === wanted[0] && after(wanted, bytes, position) > 0) return position + wanted.length;
  }
  return GIVE_UP;
}

/** Position of the quote that ends the string whose text begins at `at`, if nothing in it is escaped. */
export function quoteAfter(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0) return GIVE_UP;
  for (let position = at; position < end; position += 1) {
    const byte = bytes[position] as number;
    if (byte === QUOTE) return position;
    if (byte === BACKSLASH) return GIVE_UP;
  }
  return GIVE_UP;
}

/** Position after the whole number at `at`; its value is in `matchedNumber`. */
export function afterNumber(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0) return GIVE_UP;
  let position = at;
  let value = 0;
  while (position < end) {
    const digit = (bytes[position] as number) - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    position += 1;
  }
  const digits = position - at;
  if (digits === 0 || digits > MAX_DIGITS) return GIVE_UP;
  matchedNumber = value;
  return position;
}
