/**
 * What the bench writes into its messages so that a delivery names its own message and moment without a look-up:
 *
 *   id       tttttttt-tttt-7WWW-8SSS-NNNNNNNNNNNN   a UUIDv7: time, worker, salt of the run, number of the message
 *   content  t=0000001006422884;filler …            the intended send time in microseconds of clock.ts
 *   ref      1000000000 + number                    ties an `error` to its message
 */

/** First `ref`: all refs then have ten digits, and none can be mistaken for the small ones of the set-up. */
export const REF_BASE = 1_000_000_000;

/** Digits of the send time: microseconds since boot or since 1970 both fit. */
export const SENT_AT_DIGITS = 16;

/** A message's number has 48 bits in the id; 40 are enough for a run, and a key of worker and number then stays exact. */
const NUMBER_SPAN = 2 ** 40;

/** Workers are numbered in three hex digits of the id. */
export const MAX_WORKERS = 0x1000;

/** One number that stands for one message of the run: who sent it (worker) and its number there. */
export function messageKey(worker: number, number: number): number {
  return worker * NUMBER_SPAN + number;
}

/** The inverse of messageKey, for reports. */
export function describeKey(key: number): string {
  return `message ${key % NUMBER_SPAN} of loader ${Math.floor(key / NUMBER_SPAN)}`;
}

/** Makes the ids of one worker's messages; `nowMs` is the time that a v7 id carries. */
export function messageIdWriter(worker: number, salt: number): (number: number, nowMs: number) => string {
  const middle = `-7${worker.toString(16).padStart(3, '0')}-8${(salt & 0xfff).toString(16).padStart(3, '0')}-`;
  let cachedMs = -1;
  let head = '';
  return (number, nowMs) => {
    if (nowMs !== cachedMs) {
      const time = nowMs.toString(16).padStart(12, '0');
      head = `${time.slice(0, 8)}-${time.slice(8)}${middle}`;
      cachedMs = nowMs;
    }
    return head + number.toString(16).padStart(12, '0');
  };
}

/** The start of a content: the intended send time. */
export function contentPrefix(sentAtMicros: number): string {
  return `t=${sentAtMicros.toString().padStart(SENT_AT_DIGITS, '0')};`;
}

/** Value of a hex digit's byte, or 255. Lower case only, as PROTOCOL.md §1 has it. */
const HEX = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value += 1) HEX[value.toString(16).charCodeAt(0)] = value;

/** Value of the `count` (at most 12) hex digits at `at`, or -1 if one isn't a lower-case hex digit. */
export function hexNumber(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index += 1) {
    const digit = HEX[bytes[index] as number] as number;
    if (digit > 15) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const DASH = 0x2d;

/** The last 48 bits of the UUID whose 36 characters begin at `at`, or -1 if there is none. */
export function uuidTail(bytes: Uint8Array, at: number): number {
  if (bytes[at + 8] !== DASH || bytes[at + 13] !== DASH) return -1;
  if (bytes[at + 18] !== DASH || bytes[at + 23] !== DASH) return -1;
  return hexNumber(bytes, at + 24, 12);
}

/** The worker's number in an id written by messageIdWriter. */
export function uuidWorker(bytes: Uint8Array, at: number): number {
  return hexNumber(bytes, at + 15, 3);
}

/** The send time in a content that begins at `at` and ends before `end`, or -1 if it isn't one of the bench's. */
export function sentAt(bytes: Uint8Array, at: number, end: number): number {
  const stop = at + 2 + SENT_AT_DIGITS;
  if (stop >= end || bytes[at] !== 0x74 || bytes[at + 1] !== 0x3d || bytes[stop] !== 0x3b) return -1;
  let value = 0;
  for (let index = at + 2; index < stop; index += 1) {
    const digit = (bytes[index] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
