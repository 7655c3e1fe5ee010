import { parseArgs } from 'node:util';

/** Which subprotocol the client sockets speak; `mixed` gives every second socket MessagePack. */
export type EncodingChoice = 'json' | 'msgpack' | 'mixed';

/** Everything a run can be told. Units stand in the names. */
export interface LoadOptions {
  readonly url: string | undefined;
  readonly serverEntry: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly connections: number;
  readonly rooms: number;
  readonly roomsPerSocket: number;
  readonly users: number;
  readonly senders: number;
  readonly rate: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly drainSeconds: number;
  readonly processes: number;
  readonly encoding: EncodingChoice;
  readonly payloadBytes: number;
  readonly sourceAddresses: number;
  readonly connectRate: number;
  readonly seed: number;
  readonly allowOverload: boolean;
  readonly serverPid: number | undefined;
  readonly postgresPid: number | undefined;
  readonly jsonFile: string | undefined;
  readonly hdrPrefix: string | undefined;
}

/** A mistake on the command line; its message is a sentence for the person who typed it. */
export class UsageError extends Error {}

/** `t=` + 16 digits + `;`: what every message's content begins with (see frame-layout.ts). */
const MIN_PAYLOAD_BYTES = 19;

/** A content holds at most 5,000 code points (PROTOCOL.md §2); the filler is ASCII. */
const MAX_PAYLOAD_BYTES = 5_000;

/** 127.0.0.1 to 127.0.0.254 all lead to the loopback interface on Linux without set-up. */
const MAX_SOURCE_ADDRESSES = 254;

const USAGE = `npm run bench:load -- [options]

  --connections N       client sockets (1000)
  --rooms N             rooms (100); each has connections x rooms-per-socket / rooms sockets
  --rooms-per-socket N  rooms that each socket joins (1)
  --users N             at most so many accounts, shared by the sockets (200)
  --senders N           how many sockets send, in turn (all)
  --rate N              messages a second over all senders, open loop; 0 sends nothing (2000)
  --seconds N           measured time (20)
  --warmup N            seconds before it: checked, not measured (3)
  --drain N             seconds to wait at the end for acks, then for deliveries (10)
  --processes N         loader processes (1)
  --encoding X          json | msgpack | mixed (json)
  --payload-bytes N     size of a message's content, ${MIN_PAYLOAD_BYTES}..${MAX_PAYLOAD_BYTES} (120)
  --source-addresses N  spread the sockets over 127.0.0.1..127.0.0.N (1)
  --connect-rate N      new sockets a second (1000)
  --seed N              order of senders, filler (1)
  --allow-overload      refusals by overloaded/unavailable don't fail the run
  --url URL             a running server, e.g. http://127.0.0.1:8080 (default: start dist/src/main.js)
  --server-entry FILE   start this instead, e.g. another build's dist/src/main.js
  --database-url URL    given to the server it starts as DATABASE_URL
  --server-pid N        with --url: the server process to watch in /proc
  --postgres-pid N      the postmaster to watch in /proc (default: found in the server's DATA_DIR)
  --json FILE           write the result as JSON
  --hdr PREFIX          write PREFIX-ack.hgrm and PREFIX-delivery.hgrm
  --help`;

/** The help text, for `--help` and after a mistake. */
export function usage(): string {
  return USAGE;
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

function real(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max) {
    throw new UsageError(`--${name} must be a number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

function encodingChoice(text: string): EncodingChoice {
  if (text === 'json' || text === 'msgpack' || text === 'mixed') return text;
  throw new UsageError(`--encoding must be json, msgpack or mixed, not '${text}'`);
}

function parseTokens(argv: readonly string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const optional = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        connections: text('1000'),
        rooms: text('100'),
        'rooms-per-socket': text('1'),
        users: text('200'),
        senders: optional,
        rate: text('2000'),
        seconds: text('20'),
        warmup: text('3'),
        drain: text('10'),
        processes: text('1'),
        encoding: text('json'),
        'payload-bytes': text('120'),
        'source-addresses': text('1'),
        'connect-rate': text('1000'),
        seed: text('1'),
        'allow-overload': { type: 'boolean', default: false },
        url: optional,
        'server-entry': optional,
        'database-url': optional,
        'server-pid': optional,
        'postgres-pid': optional,
        json: optional,
        hdr: optional,
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Highest process id Linux can be told to use. */
const MAX_PID = 4_194_304;

/**
 * Reads the command line.
 * @returns the options, or undefined when help was asked for.
 * @throws UsageError naming the option and what it may be.
 */
export function parseOptions(argv: readonly string[]): LoadOptions | undefined {
  const given = parseTokens(argv);
  if (given.help) return undefined;
  const connections = whole('connections', given.connections, 1, 1_000_000);
  const rooms = whole('rooms', given.rooms, 1, 1_000_000);
  const roomsPerSocket = whole('rooms-per-socket', given['rooms-per-socket'], 1, rooms);
  if (rooms > connections * roomsPerSocket) {
    throw new UsageError('--rooms is more than connections x rooms-per-socket: some rooms would be empty');
  }
  return {
    url: given.url,
    serverEntry: given['server-entry'],
    databaseUrl: given['database-url'],
    connections,
    rooms,
    roomsPerSocket,
    users: Math.min(connections, whole('users', given.users, 1, 1_000_000)),
    senders: given.senders === undefined ? connections : whole('senders', given.senders, 1, connections),
    rate: real('rate', given.rate, 0, 1_000_000),
    seconds: real('seconds', given.seconds, 0.1, 86_400),
    warmupSeconds: real('warmup', given.warmup, 0, 3_600),
    drainSeconds: real('drain', given.drain, 0.1, 3_600),
    processes: whole('processes', given.processes, 1, Math.min(connections, 64)),
    encoding: encodingChoice(given.encoding),
    payloadBytes: whole('payload-bytes', given['payload-bytes'], MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    sourceAddresses: whole('source-addresses', given['source-addresses'], 1, MAX_SOURCE_ADDRESSES),
    connectRate: real('connect-rate', given['connect-rate'], 1, 1_000_000),
    seed: whole('seed', given.seed, 0, 0xffff_ffff),
    allowOverload: given['allow-overload'],
    serverPid:
      given['server-pid'] === undefined ? undefined : whole('server-pid', given['server-pid'], 1, MAX_PID),
    postgresPid:
      given['postgres-pid'] === undefined
        ? undefined
        : whole('postgres-pid', given['postgres-pid'], 1, MAX_PID),
    jsonFile: given.json,
    hdrPrefix: given.hdr,
  };
}
