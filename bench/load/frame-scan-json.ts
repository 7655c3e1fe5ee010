import { afterNumber, matchedNumber } from './frame-match.js';
import {
  beginScan,
  type Depth,
  DONE,
  FIELD,
  type Field,
  FRAME,
  fieldOf,
  foundNumber,
  foundString,
  GIVE_UP,
  isComplete,
  MESSAGE,
  PAYLOAD,
  type ScannedFrame,
  takeScan,
} from './frame-scan.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Position after the closing quote of the string whose text begins at `at`. */
function afterString(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  while (position < end) {
    const byte = bytes[position] as number;
    if (byte === QUOTE) return position + 1;
    position += byte === BACKSLASH ? 2 : 1;
  }
  return GIVE_UP;
}

/** Position of the closing quote of the string whose text begins at `at`, if nothing in it is escaped. */
function plainStringEnd(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  while (position < end) {
    const byte = bytes[position] as number;
    if (byte === QUOTE) return position;
    if (byte === BACKSLASH) return GIVE_UP;
    position += 1;
  }
  return GIVE_UP;
}

/** Position after any value. */
function afterValue(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at] as number;
  if (first === QUOTE) return afterString(bytes, at + 1, end);
  let position = at;
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
    while (position < end) {
      const byte = bytes[position] as number;
      if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) return position;
      position += 1;
    }
    return GIVE_UP;
  }
  let depth = 0;
  while (position < end) {
    const byte = bytes[position] as number;
    position += 1;
    if (byte === QUOTE) {
      position = afterString(bytes, position, end);
      if (position < 0) return GIVE_UP;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) return position;
    }
  }
  return GIVE_UP;
}

/** Reads a whole number. */
function readNumber(field: Field, bytes: Uint8Array, at: number, end: number): number {
  const position = afterNumber(bytes, at, end);
  const next = bytes[position];
  if (next !== COMMA && next !== CLOSE_OBJECT) return GIVE_UP;
  foundNumber(field, matchedNumber);
  return position;
}

function readString(field: Field, bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return GIVE_UP;
  const close = plainStringEnd(bytes, at + 1, end);
  if (close < 0 || !foundString(field, bytes, at + 1, close - at - 1)) return GIVE_UP;
  return close + 1;
}

/** Only the first bytes of a content matter; the rest may hold escapes. */
function readContent(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== QUOTE || !foundString(FIELD.messageContent, bytes, at + 1, end - at - 1)) return GIVE_UP;
  return isComplete() ? DONE : afterString(bytes, at + 1, end);
}

function readMember(field: Field, bytes: Uint8Array, at: number, end: number): number {
  switch (field) {
    case 0:
      return afterValue(bytes, at, end);
    case FIELD.payload:
      return bytes[at] === OPEN_OBJECT ? walkObject(PAYLOAD, bytes, at, end) : GIVE_UP;
    case FIELD.message:
      return bytes[at] === OPEN_OBJECT ? walkObject(MESSAGE, bytes, at, end) : GIVE_UP;
    case FIELD.frameRev:
    case FIELD.payloadRev:
    case FIELD.payloadSeq:
    case FIELD.messageSeq:
      return readNumber(field, bytes, at, end);
    case FIELD.messageContent:
      return readContent(bytes, at, end);
    default:
      return readString(field, bytes, at, end);
  }
}

/** Walks the object at `at`. @returns the position after it, DONE as soon as all is found, or GIVE_UP. */
function walkObject(depth: Depth, bytes: Uint8Array, at: number, end: number): number {
  let position = at + 1;
  if (bytes[position] === CLOSE_OBJECT) return position + 1;
  while (position < end) {
    if (bytes[position] !== QUOTE) return GIVE_UP;
    const name = position + 1;
    const close = plainStringEnd(bytes, name, end);
    if (close < 0 || bytes[close + 1] !== COLON) return GIVE_UP;
    position = readMember(fieldOf(depth, bytes, name, close - name), bytes, close + 2, end);
    if (position < 0) return position;
    if (isComplete()) return DONE;
    const next = bytes[position];
    if (next === CLOSE_OBJECT) return position + 1;
    if (next !== COMMA) return GIVE_UP;
    position += 1;
  }
  return GIVE_UP;
}

/** Scans a JSON text frame; see FrameScan. */
export function scanJsonFrame(bytes: Uint8Array, start: number, end: number, out: ScannedFrame): boolean {
  if (bytes[start] !== OPEN_OBJECT) return false;
  beginScan();
  return walkObject(FRAME, bytes, start, end) !== GIVE_UP && takeScan(out);
}
