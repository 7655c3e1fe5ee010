/**
 * What the loader says and hears on the wire. Parley's own frames are bare. With Socket.IO (engine.io 4 over one WebSocket,
 * socket.io 5) the same frames travel as the argument of an event, and everything else that the two layers say is answered here:
 *
 *   server `0{…}` engine opened   ► client `40{"token":…}`       server `40{…}` connected
 *   client `42<id>["frame",F]`    ► server `43<id>[ack]`          server `42["frame",F]` or `42["frame",F,"offset"]`
 *   server `2` ping               ► client `3`
 *
 * Nothing is parsed for that: a frame is found between its first and last brace. Centrifugo and Tinode have protocols of their own
 * (dialect-centrifugo.ts, dialect-tinode.ts): what they say is read as the frame of Parley's that means the same.
 */
import { type Dialect, type OutgoingMessage, tell, type Unwrapped } from './dialect.js';
import { CENTRIFUGO } from './dialect-centrifugo.js';
import { TINODE } from './dialect-tinode.js';
import { frameReader } from './frame-read.js';
import type { DialectName } from './options.js';

const DIGIT_0 = 0x30;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** engine.io's packet types, then socket.io's, as their digits. */
const ENGINE = { open: 0, ping: 2, message: 4 } as const;
const SOCKET = { disconnect: 1, event: 2, ack: 3, connectError: 4 } as const;

function betweenBraces(bytes: Uint8Array, start: number, end: number): Unwrapped {
  let from = start;
  while (from < end && bytes[from] !== OPEN_BRACE) from += 1;
  let to = end;
  while (to > from && bytes[to - 1] !== CLOSE_BRACE) to -= 1;
  return from < to ? tell('frame', from, to, end) : tell('none', start, end, end);
}

function parleyMessage({ roomId, ref, id, content }: OutgoingMessage): string {
  return `{"type":"send_message","room_id":"${roomId}","ref":${ref},"payload":{"id":"${id}","content":"${content}"}}`;
}

const PARLEY: Dialect = {
  path: '/api/v1/ws',
  subprotocol: (encoding) => `parley.${encoding}`,
  opening: () => [],
  message: parleyMessage,
  control: (frame) => JSON.stringify(frame),
  unwrap: (_bytes, start, end) => tell('frame', start, end, end),
  reader: frameReader,
};

const SOCKET_IO: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  subprotocol: () => undefined,
  opening: () => [],
  message: (message) => `42${message.number}["frame",${parleyMessage(message)}]`,
  control: (frame) => `42["frame",${JSON.stringify(frame)}]`,
  unwrap(bytes, start, end, token) {
    const engine = (bytes[start] as number) - DIGIT_0;
    if (engine === ENGINE.ping) return tell('none', start, end, end, '3');
    if (engine === ENGINE.open) return tell('none', start, end, end, `40${JSON.stringify({ token })}`);
    if (engine !== ENGINE.message) return tell('none', start, end, end);
    const packet = (bytes[start + 1] as number) - DIGIT_0;
    if (packet === SOCKET.event || packet === SOCKET.ack) return betweenBraces(bytes, start + 2, end);
    const isOver = packet === SOCKET.disconnect || packet === SOCKET.connectError;
    return tell(isOver ? 'refused' : 'none', start, end, end);
  },
  reader: frameReader,
};

const BY_NAME: Readonly<Record<DialectName, Dialect>> = {
  parley: PARLEY,
  'socket.io': SOCKET_IO,
  centrifugo: CENTRIFUGO,
  tinode: TINODE,
};

/** The dialect of this name. */
export function dialectOf(name: DialectName): Dialect {
  return BY_NAME[name];
}
