/**
 * How frames are wrapped on the wire. Parley's own are bare. With Socket.IO (engine.io 4 over one WebSocket, socket.io 5) the
 * same frames travel as the argument of an event, and everything else that the two layers say is answered here:
 *
 *   server `0{…}` engine opened   ► client `40{"token":…}`       server `40{…}` connected
 *   client `42<id>["frame",F]`    ► server `43<id>[ack]`          server `42["frame",F]` or `42["frame",F,"offset"]`
 *   server `2` ping               ► client `3`
 *
 * Nothing is parsed for that: a frame is found between its first and last brace.
 */
import type { DialectName } from './options.js';

/** Where a frame lies in the bytes that were given; one object is reused. `none`: nothing for the session in it. */
export interface Unwrapped {
  kind: 'frame' | 'none' | 'refused';
  start: number;
  end: number;
  /** To be sent back. */
  reply: string | undefined;
}

export interface Dialect {
  readonly path: string;
  /** Undefined: none is offered. */
  readonly subprotocol: (encoding: 'json' | 'msgpack') => string | undefined;
  /** @param number of the message, if the frame is a send. */
  wrap(frame: string, number?: number): string;
  unwrap(bytes: Uint8Array, start: number, end: number, token: string): Unwrapped;
}

const found: Unwrapped = { kind: 'none', start: 0, end: 0, reply: undefined };

const DIGIT_0 = 0x30;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** engine.io's packet types, then socket.io's, as their digits. */
const ENGINE = { open: 0, ping: 2, message: 4 } as const;
const SOCKET = { disconnect: 1, event: 2, ack: 3, connectError: 4 } as const;

function tell(kind: Unwrapped['kind'], start: number, end: number, reply?: string): Unwrapped {
  found.kind = kind;
  found.start = start;
  found.end = end;
  found.reply = reply;
  return found;
}

function betweenBraces(bytes: Uint8Array, start: number, end: number): Unwrapped {
  let from = start;
  while (from < end && bytes[from] !== OPEN_BRACE) from += 1;
  let to = end;
  while (to > from && bytes[to - 1] !== CLOSE_BRACE) to -= 1;
  return from < to ? tell('frame', from, to) : tell('none', start, end);
}

const PARLEY: Dialect = {
  path: '/api/v1/ws',
  subprotocol: (encoding) => `parley.${encoding}`,
  wrap: (frame) => frame,
  unwrap: (_bytes, start, end) => tell('frame', start, end),
};

const SOCKET_IO: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  subprotocol: () => undefined,
  wrap: (frame, number) => `42${number ?? ''}["frame",${frame}]`,
  unwrap(bytes, start, end, token) {
    const engine = (bytes[start] as number) - DIGIT_0;
    if (engine === ENGINE.ping) return tell('none', start, end, '3');
    if (engine === ENGINE.open) return tell('none', start, end, `40${JSON.stringify({ token })}`);
    if (engine !== ENGINE.message) return tell('none', start, end);
    const packet = (bytes[start + 1] as number) - DIGIT_0;
    if (packet === SOCKET.event || packet === SOCKET.ack) return betweenBraces(bytes, start + 2, end);
    const isOver = packet === SOCKET.disconnect || packet === SOCKET.connectError;
    return tell(isOver ? 'refused' : 'none', start, end);
  },
};

/** The dialect of this name. */
export function dialectOf(name: DialectName): Dialect {
  return name === 'parley' ? PARLEY : SOCKET_IO;
}
