import type { Codec, Frame } from './codec.js';

/** What is used of a WebSocket: the one of browsers, of Node 22, or of the package ws. */
export interface WebSocketLike {
  binaryType: string;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

export interface SocketHandlers {
  readonly frame: (frame: Frame) => void;
  /** Called once. Code 1006: without a closing handshake. */
  readonly closed: (code: number) => void;
}

/** One connection. */
export interface Socket {
  readonly send: (frame: Frame) => void;
  /** Lets go of it at once: a half-open connection would take its time. Calls no handler any more. */
  readonly drop: () => void;
}

const ABNORMAL = 1006;

/** Opens a socket; the token goes as a subprotocol, the only header that a browser lets a page set. */
export function openSocket(
  WebSocketNow: WebSocketClass,
  url: string,
  codec: Codec,
  token: string,
  handlers: SocketHandlers,
): Socket {
  const socket = new WebSocketNow(url, [codec.subprotocol, `bearer.${token}`]);
  socket.binaryType = 'arraybuffer';
  let over = false;
  const end = (code: number): void => {
    if (over) return;
    over = true;
    handlers.closed(code);
  };
  socket.onmessage = ({ data }: { data: unknown }) => {
    if (over) return;
    let frame: Frame;
    try {
      frame = codec.decode(data);
    } catch {
      end(ABNORMAL); // not Parley, or damaged: what follows can't be trusted either
      return socket.close();
    }
    handlers.frame(frame);
  };
  socket.onclose = ({ code }: { code: number }) => end(code);
  socket.onerror = () => undefined; // `close` follows
  return {
    send: (frame) => {
      if (!over) socket.send(codec.encode(frame));
    },
    drop: () => {
      over = true;
      socket.close();
    },
  };
}

/** When a JSON Web Token expires, in epoch milliseconds; null for tokens that don't say. */
export function expiryOf(token: string): number | null {
  try {
    const claims = atob((token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'));
    const { exp } = JSON.parse(claims) as { exp?: number };
    return typeof exp === 'number' ? exp * 1000 : null;
  } catch {
    return null;
  }
}
