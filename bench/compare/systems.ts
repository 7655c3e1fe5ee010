/** What is compared, under the same loader. */
import { fileURLToPath } from 'node:url';
import type { DialectName } from '../load/options.js';

export interface System {
  readonly name: string;
  readonly dialect: DialectName;
  /** Undefined: the server itself. */
  readonly entry: string | undefined;
  readonly about: string;
}

const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const SYSTEMS: readonly System[] = [
  { name: 'parley', dialect: 'parley', entry: undefined, about: 'this server: committed, then acknowledged' },
  {
    name: 'bare',
    dialect: 'parley',
    entry: beside('./bare-server.js'),
    about: 'uWebSockets.js pub/sub in one thread, no database',
  },
  {
    name: 'socketio-insert',
    dialect: 'socket.io',
    entry: beside('./socketio-insert-server.js'),
    about: 'Socket.IO, one INSERT a message',
  },
  {
    name: 'socketio-redis',
    dialect: 'socket.io',
    entry: beside('./socketio-redis-server.js'),
    about: 'Socket.IO, Redis Streams adapter, connection state recovery',
  },
];

/** The order of a round: each round begins with another system, so that none always runs on a warm or a tired machine. */
export function orderOfRound(systems: readonly System[], round: number): System[] {
  const first = round % systems.length;
  return [...systems.slice(first), ...systems.slice(0, first)];
}
