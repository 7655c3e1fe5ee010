/**
 * A WebSocket client on node:net for many sockets at little cost: all sockets of the process read into one buffer
 * (`onread`: no stream machinery, no allocation for a read), and frames are handed on as positions in it.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { acceptKeyFor, createClientProtocol, encodeClientFrame, OPCODE, type Opcode } from './ws-frames.js';

export interface WsTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface WsHandlers {
  open(): void;
  /** A whole message in `bytes[start, end)`; the bytes are gone after returning. */
  message(bytes: Buffer, start: number, end: number): void;
  /** Called once, when the connection is over and `closeNow` wasn't called. */
  closed(code: number | undefined, reason: string): void;
}

export interface WsClient {
  /** Sends a message; before `open` it is an error. */
  send(opcode: Opcode, payload: string | Uint8Array): void;
  /** Stops and starts reading: what the server sends meanwhile fills the kernel's buffers, then the server's. */
  setReading(reading: boolean): void;
  /** Drops the connection without a word, as a network does, and without calling `closed`. */
  cut(): void;
  /** Says goodbye (1000) and drops the connection without calling `closed`. */
  closeNow(): void;
}

/** Read size: a burst of some 300 deliveries in one system call. All handlers use what is in it before they return. */
const READ_BUFFER_BYTES = 262_144;
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** RFC 6455 §7.4.1: normal closure. */
const CLOSE_NORMAL = Buffer.from([0x03, 0xe8]);

let maskState = 0x9e3779b9;

/** xorshift32: masks need to be there, not to be secret. */
function nextMask(): number {
  maskState ^= maskState << 13;
  maskState ^= maskState >>> 17;
  maskState ^= maskState << 5;
  return maskState;
}

function upgradeRequest(
  target: WsTarget,
  key: string,
  subprotocol: string | undefined,
  token: string,
): string {
  return [
    `GET ${target.path} HTTP/1.1`,
    `Host: ${target.host}:${target.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    `Authorization: Bearer ${token}`,
    '\r\n',
  ].join('\r\n');
}

/** Opens a connection. @param localAddress source address, or undefined for the system's choice. */
export function openWebSocket(
  target: WsTarget,
  subprotocol: string | undefined,
  token: string,
  localAddress: string | undefined,
  handlers: WsHandlers,
): WsClient {
  const key = randomBytes(16).toString('base64');
  let over = false;

  function finish(code: number | undefined, reason: string): void {
    if (over) return;
    over = true;
    socket.destroy();
    handlers.closed(code, reason);
  }

  const protocol = createClientProtocol(acceptKeyFor(key), {
    open: () => handlers.open(),
    message: (bytes, start, end) => handlers.message(bytes, start, end),
    ping: (payload) => socket.write(encodeClientFrame(OPCODE.pong, payload, nextMask())),
    close: (code, reason) => finish(code, reason),
    violation: (what) => finish(undefined, what),
  });

  const socket: Socket = connect({
    host: target.host,
    port: target.port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
    onread: {
      buffer: readBuffer,
      callback: (length) => {
        if (!over) protocol.push(readBuffer, length);
        return true;
      },
    },
  });
  socket.on('connect', () => socket.write(upgradeRequest(target, key, subprotocol, token)));
  socket.on('error', (error) => finish(undefined, error.message));
  socket.on('end', () => finish(undefined, 'connection ended without a close frame'));
  socket.on('close', () => finish(undefined, 'connection closed'));

  return {
    send: (opcode, payload) => {
      socket.write(encodeClientFrame(opcode, payload, nextMask()));
    },
    setReading: (reading) => {
      if (reading) socket.resume();
      else socket.pause();
    },
    cut: () => {
      over = true;
      socket.destroy();
    },
    closeNow: () => {
      if (over) return;
      over = true;
      socket.end(encodeClientFrame(OPCODE.close, CLOSE_NORMAL, nextMask()));
    },
  };
}
