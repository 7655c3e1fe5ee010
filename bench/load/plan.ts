/**
 * Who is where: which user a socket is, which rooms it joins, which loader process opens it, to which server. Pure; the same
 * options give the same plan. With the even shapes every room has the same number of sockets (give or take one). A room's sockets
 * belong to different users as far as there are enough, and are spread over all loaders, encodings, servers and source addresses.
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
  /** Index of the server among those given. */
  readonly target: number;
  /** Stops reading once it has joined, until the sending is over. */
  readonly slow: boolean;
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
  | 'shape'
  | 'rooms'
  | 'roomsPerSocket'
  | 'users'
  | 'senders'
  | 'slowReaders'
  | 'processes'
  | 'encoding'
  | 'sourceAddresses'
  | 'urls'
  | 'seed'
>;

/** A socket's rooms, and its place among the sockets of the first. */
interface Place {
  readonly rooms: readonly number[];
  readonly position: number;
  /** Room and position as one number, by which users are dealt out: a room's are consecutive. */
  readonly ordinal: number;
}

function encodingOf(choice: PlanOptions['encoding'], position: number): Encoding {
  if (choice === 'mixed') return position % 2 === 0 ? 'json' : 'msgpack';
  return choice;
}

/** Socket i takes the places i*k … i*k+k-1; the places go round the rooms. */
function evenPlaces({ connections, rooms, roomsPerSocket }: PlanOptions): Place[] {
  const roomSize = Math.ceil((connections * roomsPerSocket) / rooms);
  return Array.from({ length: connections }, (_, index) => {
    const place = index * roomsPerSocket;
    const room = place % rooms;
    const position = Math.floor(place / rooms);
    return {
      rooms: Array.from({ length: roomsPerSocket }, (_, offset) => (place + offset) % rooms),
      position,
      ordinal: room * roomSize + position,
    };
  });
}

/** Sizes in proportion to 1/rank (Zipf, exponent 1), at least one each, adding up to `connections`. */
export function zipfSizes(connections: number, rooms: number): number[] {
  const weights = Array.from({ length: rooms }, (_, rank) => 1 / (rank + 1));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const sizes = weights.map((weight) => 1 + Math.floor(((connections - rooms) * weight) / sum));
  const left = connections - sizes.reduce((all, size) => all + size, 0);
  // Rounding left fewer than one a room: the largest rooms take them.
  return sizes.map((size, rank) => (rank < left ? size + 1 : size));
}

function zipfPlaces({ connections, rooms }: PlanOptions): Place[] {
  const places: Place[] = [];
  for (const [room, size] of zipfSizes(connections, rooms).entries()) {
    for (let position = 0; position < size; position += 1) {
      places.push({ rooms: [room], position, ordinal: places.length });
    }
  }
  return places;
}

/** Makes the plan of a run. */
export function planLoad(options: PlanOptions): LoadPlan {
  const { connections, sourceAddresses, slowReaders } = options;
  const places = options.shape === 'zipf' ? zipfPlaces(options) : evenPlaces(options);
  const order = shuffle(
    places.map((_, index) => index),
    seededRandom(options.seed),
  );
  const slow = new Set(order.slice(connections - slowReaders));
  const sockets = places.map(
    ({ rooms, position, ordinal }, index): SocketPlan => ({
      index,
      user: ordinal % options.users,
      rooms,
      loader: (index + position) % options.processes,
      encoding: encodingOf(options.encoding, position),
      localAddress: sourceAddresses === 1 ? undefined : `127.0.0.${1 + (index % sourceAddresses)}`,
      target: position % Math.max(1, options.urls.length),
      slow: slow.has(index),
    }),
  );
  const members = Array.from({ length: options.rooms }, () => new Set<number>());
  const counts = new Uint32Array(options.rooms);
  for (const socket of sockets) {
    for (const room of socket.rooms) {
      members[room]?.add(socket.user);
      counts[room] = (counts[room] ?? 0) + 1;
    }
  }
  return {
    sockets,
    rooms: members.map((users, room) => ({ members: [...users], sockets: counts[room] ?? 0 })),
    senders: order.slice(0, options.senders),
  };
}
