/** What a dialect has to tell of its protocol; they stand in dialects.ts. */
import type { Encoding, FrameReader, Members } from './frame-read.js';

/** A piece of a message that came. One object is reused: read it before the next call. */
export interface Unwrapped {
  /** `none`: nothing for the session in it. */
  kind: 'frame' | 'none' | 'refused';
  /** Where the frame lies in the bytes that were given. */
  start: number;
  end: number;
  /** Where the next piece begins; the end of the message after the last. */
  next: number;
  /** To be sent back. */
  reply: string | undefined;
}

/** A message of the loader's. All strings are plain ASCII without anything that JSON escapes. */
export interface OutgoingMessage {
  readonly roomId: string;
  /** Its number within the loader, and the `ref` made of it. */
  readonly number: number;
  readonly ref: number;
  readonly id: string;
  readonly content: string;
}

export interface Dialect {
  readonly path: string;
  /** Undefined: none is offered. */
  readonly subprotocol: (encoding: Encoding) => string | undefined;
  /** What the client says, unasked, once the socket is open. */
  opening(token: string): readonly string[];
  message(message: OutgoingMessage): string;
  /** Any other frame of Parley's, given as an object. */
  control(frame: Members): string;
  /** Finds the piece that begins at `start` of a message that ends at `end`. */
  unwrap(bytes: Uint8Array, start: number, end: number, token: string): Unwrapped;
  /** Reads the frames that `unwrap` found. */
  reader(encoding: Encoding): FrameReader;
}

const found: Unwrapped = { kind: 'none', start: 0, end: 0, next: 0, reply: undefined };

/** Fills the one Unwrapped there is. */
export function tell(
  kind: Unwrapped['kind'],
  start: number,
  end: number,
  next: number,
  reply: string | undefined = undefined,
): Unwrapped {
  found.kind = kind;
  found.start = start;
  found.end = end;
  found.next = next;
  found.reply = reply;
  return found;
}
