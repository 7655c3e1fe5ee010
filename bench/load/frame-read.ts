import { Packr, Unpackr } from 'msgpackr';
import { REF_BASE, sentAt, uuidTail, uuidWorker } from './frame-layout.js';
import { type FrameScan, type ScannedFrame, SENDER_ITSELF, UNNUMBERED } from './frame-scan.js';
import { scanJsonFrame } from './frame-scan-json.js';
import { scanMsgpackFrame } from './frame-scan-msgpack.js';

export type Encoding = 'json' | 'msgpack';

/** An object out of a frame, its members still to be looked at. */
export type Members = Readonly<Record<string, unknown>>;

/** A frame parsed in full: what the scanners leave over. */
export interface ParsedFrame {
  readonly type: string;
  readonly roomId: string | undefined;
  readonly rev: number | undefined;
  readonly ref: number | undefined;
  readonly payload: Members;
}

/** @returns `value` if it is an object with members, else an empty one. */
export function asMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

/** @returns `value` if it is a number, else undefined. */
export function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** @returns `value` if it is a string, else undefined. */
export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** @returns `value` if it is an array, else an empty one. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' });
const packr = new Packr({ useRecords: false });

/** Encodes a client's frame. */
export function encodeFrame(encoding: Encoding, frame: Members): string | Uint8Array {
  return encoding === 'json' ? JSON.stringify(frame) : packr.pack(frame);
}

/** Parses the frame in `bytes[start, end)` in full. @throws when it is malformed or has no type. */
export function parseFrame(encoding: Encoding, bytes: Buffer, start: number, end: number): ParsedFrame {
  const value: unknown =
    encoding === 'json'
      ? JSON.parse(bytes.toString('utf8', start, end))
      : unpackr.unpack(bytes.subarray(start, end));
  const frame = asMembers(value);
  const type = asString(frame.type);
  if (type === undefined) throw new Error('a frame without a type');
  return {
    type,
    roomId: asString(frame.room_id),
    rev: asNumber(frame.rev),
    ref: asNumber(frame.ref),
    payload: asMembers(frame.payload),
  };
}

/** How frames are read: those that matter by a scan, what it leaves over in full. */
export interface FrameReader {
  readonly scan: FrameScan;
  /** Parses the frame in `bytes[start, end)`. @throws when it is malformed. */
  parse(bytes: Buffer, start: number, end: number): ParsedFrame;
}

/** The scanner for an encoding. */
export function scannerFor(encoding: Encoding): FrameScan {
  return encoding === 'json' ? scanJsonFrame : scanMsgpackFrame;
}

const READERS: Readonly<Record<Encoding, FrameReader>> = {
  json: { scan: scanJsonFrame, parse: (bytes, start, end) => parseFrame('json', bytes, start, end) },
  msgpack: { scan: scanMsgpackFrame, parse: (bytes, start, end) => parseFrame('msgpack', bytes, start, end) },
};

/** Reads Parley's frames in an encoding. */
export function frameReader(encoding: Encoding): FrameReader {
  return READERS[encoding];
}

function uuidFields(id: string | undefined): { tail: number; worker: number } {
  if (id?.length !== 36) return { tail: -1, worker: -1 };
  const bytes = Buffer.from(id, 'latin1');
  return { tail: uuidTail(bytes, 0), worker: uuidWorker(bytes, 0) };
}

/** The last 48 bits of a UUID: how the bench knows a room again. -1 if `id` isn't one. */
export function idTailOf(id: string | undefined): number {
  return uuidFields(id).tail;
}

/**
 * What a scan would have found in a frame that was parsed in full. Fields that it lacks are -1.
 * @returns false if the frame is of another type.
 */
export function scanOfParsed(frame: ParsedFrame, out: ScannedFrame): boolean {
  if (frame.type === 'new_message') {
    const message = asMembers(frame.payload.message);
    const id = uuidFields(asString(message.id));
    const content = Buffer.from(asString(message.content) ?? '', 'utf8');
    out.kind = 'new_message';
    out.rev = frame.rev ?? -1;
    out.seqNo = asNumber(message.seq_no) ?? -1;
    out.idTail = id.tail;
    out.idWorker = id.worker;
    out.sentAtMicros = sentAt(content, 0, content.length);
  } else if (frame.type === 'message_ack') {
    const id = uuidFields(asString(frame.payload.id));
    const number = numberOfRef(frame.ref);
    out.kind = 'message_ack';
    out.rev = asNumber(frame.payload.rev) ?? UNNUMBERED;
    out.seqNo = asNumber(frame.payload.seq_no) ?? UNNUMBERED;
    // Other protocols name a message by the request's number alone, and tell nobody but its sender.
    out.idTail = frame.payload.id === undefined && number !== undefined ? number : id.tail;
    out.idWorker = frame.payload.id === undefined ? SENDER_ITSELF : id.worker;
    out.sentAtMicros = -1;
  } else {
    return false;
  }
  out.roomTail = idTailOf(frame.roomId);
  return true;
}

/** The number of the message that a `ref` belongs to, or undefined for refs of the set-up. */
export function numberOfRef(ref: number | undefined): number | undefined {
  return ref !== undefined && ref >= REF_BASE ? ref - REF_BASE : undefined;
}
