/**
 * What the two scanners (frame-scan-json.ts, frame-scan-msgpack.ts) share. They find the few fields of a `new_message` or a
 * `message_ack` that the bench needs, without building the object.
 *
 * Why: the bench must not measure itself. Of a delivery of 730 bytes a scan takes 0.3–0.5 µs where the full parse takes 1.5 µs
 * (JSON) or 2.4 µs (MessagePack), not counting the garbage that parsing leaves behind (measured, Node 20).
 * How: a walk over the bytes which knows at which depth it is, so neither the order of members nor text that looks like members
 * (in contents or metadata) can mislead it; it stops at the last field it needs. Whatever it doesn't recognise (white space,
 * escapes in a key, other types of frame) it gives up on, and the caller parses the frame in full.
 */
import { sentAt, uuidTail, uuidWorker } from './frame-layout.js';

/** Instead of a worker, in an ack without the message's id: whoever it came to had sent the message. */
export const SENDER_ITSELF = -1;

/** Instead of seq_no and rev, in an ack that doesn't tell them. */
export const UNNUMBERED = -1;

/** What a scan found; one object is reused for all frames. */
export interface ScannedFrame {
  kind: 'new_message' | 'message_ack';
  /** Last 48 bits of the room's id. */
  roomTail: number;
  /** Change number: of the frame for a delivery, of the payload for an ack. */
  rev: number;
  seqNo: number;
  /** Worker and number out of the message's id. */
  idWorker: number;
  idTail: number;
  /** Intended send time, microseconds of clock.ts; -1 in an ack. */
  sentAtMicros: number;
}

/** Scans the frame in `bytes[start, end)` into `out`. @returns false if it gave up; `out` is then without meaning. */
export type FrameScan = (bytes: Uint8Array, start: number, end: number, out: ScannedFrame) => boolean;

/** @returns an empty result for scans to fill. */
export function emptyScan(): ScannedFrame {
  return {
    kind: 'new_message',
    roomTail: -1,
    rev: -1,
    seqNo: -1,
    idWorker: -1,
    idTail: -1,
    sentAtMicros: -1,
  };
}

/** What a walk returns instead of the next position. */
export const GIVE_UP = -1;
export const DONE = -2;

/** Depths at which members are looked at: the frame, its payload, the payload's message. */
export const FRAME = 0;
export const PAYLOAD = 1;
export const MESSAGE = 2;
export type Depth = 0 | 1 | 2;

/** The members that are looked for, as (depth, name). */
export const FIELD = {
  type: 1,
  room: 2,
  frameRev: 3,
  payload: 4,
  payloadId: 5,
  payloadSeq: 6,
  payloadRev: 7,
  message: 8,
  messageId: 9,
  messageSeq: 10,
  messageContent: 11,
} as const;
export type Field = 0 | (typeof FIELD)[keyof typeof FIELD];

/** ASCII text as bytes, to be compared with. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

interface NamedField {
  readonly name: Uint8Array;
  readonly field: Field;
}

const NAMES: readonly (readonly NamedField[])[] = [
  [
    { name: bytesOf('type'), field: FIELD.type },
    { name: bytesOf('room_id'), field: FIELD.room },
    { name: bytesOf('rev'), field: FIELD.frameRev },
    { name: bytesOf('payload'), field: FIELD.payload },
  ],
  [
    { name: bytesOf('message'), field: FIELD.message },
    { name: bytesOf('id'), field: FIELD.payloadId },
    { name: bytesOf('seq_no'), field: FIELD.payloadSeq },
    { name: bytesOf('rev'), field: FIELD.payloadRev },
  ],
  [
    { name: bytesOf('id'), field: FIELD.messageId },
    { name: bytesOf('seq_no'), field: FIELD.messageSeq },
    { name: bytesOf('content'), field: FIELD.messageContent },
  ],
];

/** Which field a member's name means at a depth; 0 for those to be skipped. */
export function fieldOf(depth: Depth, bytes: Uint8Array, at: number, length: number): Field {
  for (const { name, field } of NAMES[depth] as readonly NamedField[]) {
    if (name.length !== length) continue;
    let same = 0;
    while (same < length && bytes[at + same] === name[same]) same += 1;
    if (same === length) return field;
  }
  return 0;
}

/** The fields found so far in the frame being scanned, by FIELD; reset by beginScan. Scans are synchronous, so one is enough. */
const values = new Float64Array(12);
const workers = new Float64Array(12);
let found = 0;
let kind: ScannedFrame['kind'] | undefined;

const bit = (field: Field): number => 1 << field;
const NEEDED_FOR_NEW =
  bit(FIELD.type) |
  bit(FIELD.room) |
  bit(FIELD.frameRev) |
  bit(FIELD.messageId) |
  bit(FIELD.messageSeq) |
  bit(FIELD.messageContent);
const NEEDED_FOR_ACK =
  bit(FIELD.type) | bit(FIELD.room) | bit(FIELD.payloadId) | bit(FIELD.payloadSeq) | bit(FIELD.payloadRev);

/** Forgets the frame before. */
export function beginScan(): void {
  found = 0;
  kind = undefined;
}

/** Notes a whole number. */
export function foundNumber(field: Field, value: number): void {
  values[field] = value;
  found |= bit(field);
}

const NEW_MESSAGE = bytesOf('new_message');
const MESSAGE_ACK = bytesOf('message_ack');

function equals(bytes: Uint8Array, at: number, length: number, wanted: Uint8Array): boolean {
  if (length !== wanted.length) return false;
  for (let index = 0; index < length; index += 1) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}

/** Notes a string that stands unescaped in `bytes[at, at + length)`. @returns false if it isn't one the bench can read. */
export function foundString(field: Field, bytes: Uint8Array, at: number, length: number): boolean {
  if (field === FIELD.type) {
    if (equals(bytes, at, length, NEW_MESSAGE)) kind = 'new_message';
    else if (equals(bytes, at, length, MESSAGE_ACK)) kind = 'message_ack';
    else return false;
  } else if (field === FIELD.messageContent) {
    const micros = sentAt(bytes, at, at + length);
    if (micros < 0) return false;
    values[field] = micros;
  } else {
    const tail = length === 36 ? uuidTail(bytes, at) : -1;
    if (tail < 0) return false;
    values[field] = tail;
    if (field !== FIELD.room) {
      const worker = uuidWorker(bytes, at);
      if (worker < 0) return false;
      workers[field] = worker;
    }
  }
  found |= bit(field);
  return true;
}

/** True as soon as nothing more is needed from the frame. */
export function isComplete(): boolean {
  if (kind === 'new_message') return (found & NEEDED_FOR_NEW) === NEEDED_FOR_NEW;
  return kind === 'message_ack' && (found & NEEDED_FOR_ACK) === NEEDED_FOR_ACK;
}

/** Moves what was found into `out`. @returns false if the frame lacked a field. */
export function takeScan(out: ScannedFrame): boolean {
  if (kind === undefined || !isComplete()) return false;
  const isNew = kind === 'new_message';
  const id = isNew ? FIELD.messageId : FIELD.payloadId;
  out.kind = kind;
  out.roomTail = values[FIELD.room] as number;
  out.rev = values[isNew ? FIELD.frameRev : FIELD.payloadRev] as number;
  out.seqNo = values[isNew ? FIELD.messageSeq : FIELD.payloadSeq] as number;
  out.idWorker = workers[id] as number;
  out.idTail = values[id] as number;
  out.sentAtMicros = isNew ? (values[FIELD.messageContent] as number) : -1;
  return true;
}
