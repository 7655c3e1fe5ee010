/**
 * RFC 6455 as far as the bench needs it: the client's half of the handshake, and frames without extensions or fragments
 * (uWebSockets.js sends none unless told to). Bytes in, events out; sockets are ws-client.ts's.
 *
 *   HANDSHAKE ── 101 with the right accept key ──► FRAMES ── close frame ──► CLOSED
 *       └────────── anything else ───────────────────┴──── bad frame ──────────┘
 */
import { createHash } from 'node:crypto';

export const OPCODE = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

/** What the protocol tells its owner. `bytes` belongs to the reader: use it before returning. */
export interface ProtocolHandlers {
  open(): void;
  /** A whole text or binary message in `bytes[start, end)`. */
  message(bytes: Buffer, start: number, end: number): void;
  /** A ping to be answered with the same payload. */
  ping(payload: Buffer): void;
  /** The server's close frame. 1005: it gave no code. */
  close(code: number, reason: string): void;
  /** The peer doesn't keep to the protocol, or refused the upgrade; nothing comes after this. */
  violation(what: string): void;
}

/** Takes bytes as they come, in pieces of any size. */
export interface ClientProtocol {
  push(bytes: Buffer, length: number): void;
}

/** RFC 6455 §1.3 */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** RFC 6455 §7.4.1: no status code present. */
const NO_STATUS = 1005;

/** A response's headers stay far below this; more is not an answer to an upgrade. */
const MAX_HEADER_BYTES = 16_384;

/** Twice the server's cap on frames from clients; a `synced` of 500 messages of 5,000 code points is the largest answer. */
const MAX_FRAME_BYTES = 16 * 1_048_576;

/** The accept key that belongs to a `Sec-WebSocket-Key` (RFC 6455 §4.2.2). */
export function acceptKeyFor(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64');
}

function checkHandshake(head: string, acceptKey: string): string | undefined {
  const lines = head.split('\r\n');
  const status = lines[0] ?? '';
  if (!/^HTTP\/1\.1 101\b/.test(status)) return `upgrade refused: ${status}`;
  const accept = lines.find((line) => /^sec-websocket-accept:/i.test(line));
  if (accept?.slice(accept.indexOf(':') + 1).trim() !== acceptKey) return 'wrong sec-websocket-accept';
  return undefined;
}

/** Makes the client's side of one connection, which expects this accept key. */
export function createClientProtocol(acceptKey: string, handlers: ProtocolHandlers): ClientProtocol {
  let state: 'handshake' | 'frames' | 'closed' = 'handshake';
  let pending: Buffer | undefined;

  function fail(what: string): void {
    state = 'closed';
    handlers.violation(what);
  }

  /** @returns the position after the handshake, or -1 if it isn't whole or is refused. */
  function readHandshake(bytes: Buffer, start: number, end: number): number {
    const stop = bytes.subarray(start, end).indexOf('\r\n\r\n');
    if (stop < 0) {
      if (end - start > MAX_HEADER_BYTES) fail('no end of headers');
      return -1;
    }
    const problem = checkHandshake(bytes.toString('latin1', start, start + stop), acceptKey);
    if (problem !== undefined) {
      fail(problem);
      return -1;
    }
    state = 'frames';
    handlers.open();
    return start + stop + 4;
  }

  function controlFrame(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE.ping) {
      handlers.ping(Buffer.from(bytes.subarray(start, end)));
    } else if (opcode === OPCODE.close) {
      state = 'closed';
      const code = end - start >= 2 ? bytes.readUInt16BE(start) : NO_STATUS;
      handlers.close(code, bytes.toString('utf8', Math.min(start + 2, end), end));
    }
  }

  /** Reads one frame. @returns the position after it, or -1 if it isn't whole. */
  function readFrame(bytes: Buffer, start: number, end: number): number {
    if (end - start < 2) return -1;
    const first = bytes[start] as number;
    const second = bytes[start + 1] as number;
    let length = second & 0x7f;
    let body = start + 2;
    if (length === 126) {
      body = start + 4;
      if (body > end) return -1;
      length = bytes.readUInt16BE(start + 2);
    } else if (length === 127) {
      body = start + 10;
      if (body > end) return -1;
      length = bytes.readUInt32BE(start + 2) * 4_294_967_296 + bytes.readUInt32BE(start + 6);
    }
    if (length > MAX_FRAME_BYTES || (second & 0x80) !== 0 || (first & 0xf0) !== 0x80) {
      fail('a frame that is masked, fragmented, extended or too long');
      return -1;
    }
    const stop = body + length;
    if (stop > end) return -1;
    const opcode = first & 0x0f;
    if (opcode === OPCODE.text || opcode === OPCODE.binary) handlers.message(bytes, body, stop);
    else controlFrame(opcode, bytes, body, stop);
    return stop;
  }

  return {
    push(chunk, length) {
      let bytes = chunk;
      let end = length;
      if (pending !== undefined) {
        bytes = Buffer.concat([pending, chunk.subarray(0, length)]);
        end = bytes.length;
        pending = undefined;
      }
      let position = 0;
      while (state !== 'closed' && position < end) {
        const next =
          state === 'handshake' ? readHandshake(bytes, position, end) : readFrame(bytes, position, end);
        if (next < 0) break;
        position = next;
      }
      if (state !== 'closed' && position < end) pending = Buffer.from(bytes.subarray(position, end));
    },
  };
}

/**
 * Builds a client frame: whole, and masked as RFC 6455 §5.3 demands.
 * @param maskKey 32 bits; a load bench need not make them unpredictable.
 */
export function encodeClientFrame(opcode: Opcode, payload: string | Uint8Array, maskKey: number): Buffer {
  const length = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const mask = 2 + lengthBytes;
  const body = mask + 4;
  const frame = Buffer.allocUnsafe(body + length);
  frame[0] = 0x80 | opcode;
  if (lengthBytes === 0) {
    frame[1] = 0x80 | length;
  } else if (lengthBytes === 2) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.writeInt32BE(maskKey | 0, mask);
  if (typeof payload === 'string') frame.write(payload, body);
  else frame.set(payload, body);
  for (let index = 0; index < length; index += 1) {
    frame[body + index] = (frame[body + index] as number) ^ (frame[mask + (index & 3)] as number);
  }
  return frame;
}
