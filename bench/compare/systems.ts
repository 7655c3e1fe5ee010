/** What is compared, under the same loader. */
import { fileURLToPath } from 'node:url';
import type { DialectName } from '../load/options.js';
import type { PeerName } from './go-peers.js';

export interface System {
  readonly name: string;
  readonly dialect: DialectName;
  /** Undefined: the server itself. */
  readonly entry: string | undefined;
  readonly about: string;
  /** It promises an order, so that a fault of order is one. */
  readonly isOrdered: boolean;
  /** Set where Go builds it: then it is measured only when it is named. */
  readonly peer?: PeerName;
}

const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const SYSTEMS: readonly System[] = [
  {
    name: 'parley',
    dialect: 'parley',
    entry: undefined,
    about: 'this server: committed, then acknowledged',
    isOrdered: true,
  },
  {
    name: 'bare',
    dialect: 'parley',
    entry: beside('./bare-server.js'),
    about: 'uWebSockets.js pub/sub in one thread, no database',
    isOrdered: false,
  },
  {
    name: 'socketio-insert',
    dialect: 'socket.io',
    entry: beside('./socketio-insert-server.js'),
    about: 'Socket.IO, one INSERT a message',
    isOrdered: false,
  },
  {
    name: 'socketio-redis',
    dialect: 'socket.io',
    entry: beside('./socketio-redis-server.js'),
    about: 'Socket.IO, Redis Streams adapter, connection state recovery',
    isOrdered: false,
  },
  {
    name: 'centrifugo',
    dialect: 'centrifugo',
    entry: beside('./centrifugo-server.js'),
    about:
      'Centrifugo, memory engine, history and positioned subscriptions, no database (not by default; Go)',
    isOrdered: true,
    peer: 'centrifugo',
  },
  {
    name: 'tinode',
    dialect: 'tinode',
    entry: beside('./tinode-server.js'),
    about: 'Tinode on PostgreSQL (not by default; Go)',
    isOrdered: true,
    peer: 'tinode',
  },
];

/** What is compared when nothing is named: all that need no Go. */
export const DEFAULT_SYSTEMS = SYSTEMS.filter((system) => system.peer === undefined);

/** The order of a round: each round begins with another system, so that none always runs on a warm or a tired machine. */
export function orderOfRound(systems: readonly System[], round: number): System[] {
  const first = round % systems.length;
  return [...systems.slice(first), ...systems.slice(0, first)];
}
