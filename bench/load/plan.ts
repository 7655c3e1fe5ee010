/**
 * Who is where: which user a socket is, which rooms it joins, which loader process opens it. Pure; the same options give the
 * same plan. Every room has the same number of sockets (give or take one), its sockets belong to different users as far as there
 * are enough, and are spread over all loaders, encodings and source addresses.
 */
import type { Encoding } from './frame-read.js';
import type { LoadOptions } from './options.js';
import { seededRandom, shuffle } from './random.js';

export interface SocketPlan {
  readonly index: number;
  readonly user: number;
  readonly rooms: readonly number[];
  readonly loader: number;
  readonly encoding: Encoding;
  readonly localAddress: string | undefined;
}

export interface RoomPlan {
  /** Users to be members; the first creates the room. */
  readonly members: readonly number[];
  readonly sockets: number;
}

export interface LoadPlan {
  readonly sockets: readonly SocketPlan[];
  readonly rooms: readonly RoomPlan[];
  /** Socket indexes in the order in which they send, over and over. */
  readonly senders: readonly number[];
}

type PlanOptions = Pick<
  LoadOptions,
  | 'connections'
  | 'rooms'
  | 'roomsPerSocket'
  | 'users'
  | 'senders'
  | 'processes'
  | 'encoding'
  | 'sourceAddresses'
  | 'seed'
>;

function encodingOf(choice: PlanOptions['encoding'], position: number): Encoding {
  if (choice === 'mixed') return position % 2 === 0 ? 'json' : 'msgpack';
  return choice;
}

function planSocket(options: PlanOptions, index: number): SocketPlan {
  const { connections, rooms, roomsPerSocket } = options;
  // Socket i takes the places i*k … i*k+k-1; the places go round the rooms.
  const place = index * roomsPerSocket;
  const room = place % rooms;
  const position = Math.floor(place / rooms);
  const roomSize = Math.ceil((connections * roomsPerSocket) / rooms);
  return {
    index,
    user: (room * roomSize + position) % options.users,
    rooms: Array.from({ length: roomsPerSocket }, (_, offset) => (place + offset) % rooms),
    loader: (index + position) % options.processes,
    encoding: encodingOf(options.encoding, position),
    localAddress:
      options.sourceAddresses === 1 ? undefined : `127.0.0.${1 + (index % options.sourceAddresses)}`,
  };
}

/** Makes the plan of a run. */
export function planLoad(options: PlanOptions): LoadPlan {
  const sockets = Array.from({ length: options.connections }, (_, index) => planSocket(options, index));
  const members = Array.from({ length: options.rooms }, () => new Set<number>());
  const counts = new Uint32Array(options.rooms);
  for (const socket of sockets) {
    for (const room of socket.rooms) {
      members[room]?.add(socket.user);
      counts[room] = (counts[room] ?? 0) + 1;
    }
  }
  const order = shuffle(
    sockets.map((socket) => socket.index),
    seededRandom(options.seed),
  );
  return {
    sockets,
    rooms: members.map((users, room) => ({ members: [...users], sockets: counts[room] ?? 0 })),
    senders: order.slice(0, options.senders),
  };
}
