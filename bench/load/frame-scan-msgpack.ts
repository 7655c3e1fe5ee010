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

/** Set by the header readers beside their result: the count or value that the header gave. */
let headerValue = 0;

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) * 65_536 + uint16(bytes, at + 2);
}

/** Reads a map's header into headerValue. @returns the position of its first key, or GIVE_UP. */
function mapHeader(bytes: Uint8Array, at: number): number {
  const head = bytes[at] as number;
  if (head >> 4 === 0x8) {
    headerValue = head & 0x0f;
    return at + 1;
  }
  if (head === 0xde) {
    headerValue = uint16(bytes, at + 1);
    return at + 3;
  }
  if (head === 0xdf) {
    headerValue = uint32(bytes, at + 1);
    return at + 5;
  }
  return GIVE_UP;
}

/** Reads a string's header into headerValue (bytes). @returns the position of its text, or GIVE_UP. */
function stringHeader(bytes: Uint8Array, at: number): number {
  const head = bytes[at] as number;
  if (head >> 5 === 0x5) {
    headerValue = head & 0x1f;
    return at + 1;
  }
  if (head === 0xd9) {
    headerValue = bytes[at + 1] as number;
    return at + 2;
  }
  if (head === 0xda) {
    headerValue = uint16(bytes, at + 1);
    return at + 3;
  }
  if (head === 0xdb) {
    headerValue = uint32(bytes, at + 1);
    return at + 5;
  }
  return GIVE_UP;
}

/** Reads a whole number of up to 32 bits (counters; wider ones are left to the full parse). */
function readNumber(field: Field, bytes: Uint8Array, at: number): number {
  const head = bytes[at] as number;
  if (head < 0x80) {
    foundNumber(field, head);
    return at + 1;
  }
  if (head === 0xcc) {
    foundNumber(field, bytes[at + 1] as number);
    return at + 2;
  }
  if (head === 0xcd) {
    foundNumber(field, uint16(bytes, at + 1));
    return at + 3;
  }
  if (head === 0xce) {
    foundNumber(field, uint32(bytes, at + 1));
    return at + 5;
  }
  return GIVE_UP;
}

function readString(field: Field, bytes: Uint8Array, at: number, end: number): number {
  const text = stringHeader(bytes, at);
  if (text < 0) return GIVE_UP;
  const next = text + headerValue;
  return next <= end && foundString(field, bytes, text, headerValue) ? next : GIVE_UP;
}

/** Bytes after the first of a value of fixed size, by its first byte from 0xc0; -1: not fixed, or an extension. */
const FIXED: readonly number[] = [
  0, -1, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
  -1, -1,
];

/** Position after any value; gives up on extensions, which PROTOCOL.md §3 rules out. */
function afterValue(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  for (let left = 1; left > 0; left -= 1) {
    if (position >= end) return GIVE_UP;
    const head = bytes[position] as number;
    if (head < 0x80 || head >= 0xe0) position += 1;
    else if (head < 0x90) {
      left += 2 * (head & 0x0f);
      position += 1;
    } else if (head < 0xa0) {
      left += head & 0x0f;
      position += 1;
    } else if (head < 0xc0) position += 1 + (head & 0x1f);
    else if (head === 0xdc || head === 0xdd) {
      left += head === 0xdc ? uint16(bytes, position + 1) : uint32(bytes, position + 1);
      position += head === 0xdc ? 3 : 5;
    } else if (head === 0xde || head === 0xdf) {
      const next = mapHeader(bytes, position);
      left += 2 * headerValue;
      position = next;
    } else if (head >= 0xd9 && head <= 0xdb) {
      const text = stringHeader(bytes, position);
      position = text + headerValue;
    } else {
      const size = FIXED[head - 0xc0] as number;
      if (size < 0) return GIVE_UP;
      position += 1 + size;
    }
  }
  return position <= end ? position : GIVE_UP;
}

function readMember(field: Field, bytes: Uint8Array, at: number, end: number): number {
  switch (field) {
    case 0:
      return afterValue(bytes, at, end);
    case FIELD.payload:
      return walkMap(PAYLOAD, bytes, at, end);
    case FIELD.message:
      return walkMap(MESSAGE, bytes, at, end);
    case FIELD.frameRev:
    case FIELD.payloadRev:
    case FIELD.payloadSeq:
    case FIELD.messageSeq:
      return readNumber(field, bytes, at);
    default:
      return readString(field, bytes, at, end);
  }
}

/** Walks the map at `at`. @returns the position after it, DONE as soon as all is found, or GIVE_UP. */
function walkMap(depth: Depth, bytes: Uint8Array, at: number, end: number): number {
  let position = mapHeader(bytes, at);
  if (position < 0) return GIVE_UP;
  const members = headerValue;
  for (let member = 0; member < members; member += 1) {
    const name = stringHeader(bytes, position);
    if (name < 0 || name + headerValue >= end) return GIVE_UP;
    const length = headerValue;
    position = readMember(fieldOf(depth, bytes, name, length), bytes, name + length, end);
    if (position < 0) return position;
    if (isComplete()) return DONE;
  }
  return position;
}

/** Scans a MessagePack binary frame; see FrameScan. */
export function scanMsgpackFrame(bytes: Uint8Array, start: number, end: number, out: ScannedFrame): boolean {
  beginScan();
  return walkMap(FRAME, bytes, start, end) !== GIVE_UP && takeScan(out);
}
