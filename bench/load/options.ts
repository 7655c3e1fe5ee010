import {
  MAX_PAYLOAD_BYTES,
  MIN_PAYLOAD_BYTES,
  oneOf,
  readTokens,
  real,
  text,
  UsageError,
  whole,
} from './usage.js';

export { UsageError, usage } from './usage.js';

/** Which subprotocol the client sockets speak; `mixed` gives every second socket MessagePack. */
export const ENCODINGS = ['json', 'msgpack', 'mixed'] as const;
export type EncodingChoice = (typeof ENCODINGS)[number];

/** How the sockets are spread over rooms. */
export const SHAPES = ['even', 'many-small', 'few-large', 'one-huge', 'zipf'] as const;
export type Shape = (typeof SHAPES)[number];

/** What is spoken on the wire. */
export const DIALECTS = ['parley', 'socket.io', 'centrifugo', 'tinode'] as const;
export type DialectName = (typeof DIALECTS)[number];

/** Everything a run can be told. Units stand in the names. */
export interface LoadOptions {
  readonly urls: readonly string[];
  readonly serverEntry: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly connections: number;
  readonly shape: Shape;
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
  readonly cutsPerSecond: number;
  readonly storm: boolean;
  readonly slowReaders: number;
  readonly idle: boolean;
  readonly ramp: boolean;
  readonly p99LimitMs: number;
  readonly resolution: number;
  readonly dialect: DialectName;
  readonly serverProcesses: number;
  readonly serverPid: number | undefined;
  readonly postgresPid: number | undefined;
  /** Undefined: a new directory in bench/results. `none`: no files. */
  readonly resultsDir: string | undefined;
  readonly jsonFile: string | undefined;
  readonly hdrPrefix: string | undefined;
}

/** 127.0.0.1 to 127.0.0.254 all lead to the loopback interface on Linux without set-up. */
const MAX_SOURCE_ADDRESSES = 254;

/** A process may hold some 20,000 descriptors on common limits; a loader of more sockets is also short of CPU. */
const SOCKETS_PER_LOADER = 15_000;

/** An address has some 28,000 ephemeral ports, and those just closed aren't free at once. */
const SOCKETS_PER_ADDRESS = 20_000;

/** Highest process id Linux can be told to use. */
const MAX_PID = 4_194_304;

const MANY_SMALL_ROOM_SIZE = 5;
const FEW_LARGE_ROOMS = 10;
const DEFAULT_ROOMS = 100;

const flag = { type: 'boolean', default: false } as const;
const optional = { type: 'string' } as const;

const TOKENS = {
  connections: text('1000'),
  shape: text('even'),
  rooms: optional,
  'rooms-per-socket': text('1'),
  users: text('200'),
  senders: optional,
  rate: text('2000'),
  seconds: text('20'),
  warmup: text('3'),
  drain: text('10'),
  processes: optional,
  encoding: text('json'),
  'payload-bytes': text('120'),
  'source-addresses': optional,
  'connect-rate': text('1000'),
  seed: text('1'),
  'allow-overload': flag,
  jitter: text('0'),
  storm: flag,
  'slow-readers': text('0'),
  idle: flag,
  ramp: flag,
  'p99-limit': text('100'),
  resolution: text('1.1'),
  dialect: text('parley'),
  url: optional,
  'server-entry': optional,
  'database-url': optional,
  'server-processes': text('1'),
  'server-pid': optional,
  'postgres-pid': optional,
  results: optional,
  json: optional,
  hdr: optional,
  help: flag,
} as const;

const parseTokens = (argv: readonly string[]) => readTokens(argv, TOKENS);

type Given = ReturnType<typeof parseTokens>;

function defaultRooms(shape: Shape, connections: number): number {
  if (shape === 'many-small') return Math.ceil(connections / MANY_SMALL_ROOM_SIZE);
  if (shape === 'few-large') return Math.min(FEW_LARGE_ROOMS, connections);
  return shape === 'one-huge' ? 1 : Math.min(DEFAULT_ROOMS, connections);
}

/** Who is where: what plan.ts works with. */
function readLayout(given: Given) {
  const connections = whole('connections', given.connections, 1, 1_000_000);
  const shape = oneOf('shape', given.shape, SHAPES);
  const rooms =
    given.rooms === undefined
      ? defaultRooms(shape, connections)
      : whole('rooms', given.rooms, 1, shape === 'one-huge' ? 1 : 1_000_000);
  const roomsPerSocket = whole('rooms-per-socket', given['rooms-per-socket'], 1, rooms);
  if (rooms > connections * roomsPerSocket) {
    throw new UsageError('--rooms is more than connections x rooms-per-socket: some rooms would be empty');
  }
  if (shape !== 'even' && roomsPerSocket > 1) {
    throw new UsageError(`--rooms-per-socket needs --shape even, not ${shape}`);
  }
  const slowReaders = whole('slow-readers', given['slow-readers'], 0, connections - 1);
  const readers = connections - slowReaders;
  return {
    connections,
    shape,
    rooms,
    roomsPerSocket,
    slowReaders,
    users: Math.min(connections, whole('users', given.users, 1, 1_000_000)),
    senders: given.senders === undefined ? readers : whole('senders', given.senders, 1, readers),
    processes: whole(
      'processes',
      given.processes ?? String(Math.ceil(connections / SOCKETS_PER_LOADER)),
      1,
      Math.min(connections, 64),
    ),
    sourceAddresses: whole(
      'source-addresses',
      given['source-addresses'] ??
        String(Math.min(MAX_SOURCE_ADDRESSES, Math.ceil(connections / SOCKETS_PER_ADDRESS))),
      1,
      MAX_SOURCE_ADDRESSES,
    ),
  };
}

function readUrls(given: Given): string[] {
  const urls = given.url === undefined ? [] : given.url.split(',').map((url) => url.trim());
  for (const url of urls) {
    // The loader speaks no TLS.
    if (!URL.canParse(url) || new URL(url).protocol !== 'http:') {
      throw new UsageError(`--url must be http://host:port, several with commas, not '${url}'`);
    }
  }
  return urls;
}

function pid(name: 'server-pid' | 'postgres-pid', given: Given): number | undefined {
  const value = given[name];
  return value === undefined ? undefined : whole(name, value, 1, MAX_PID);
}

/**
 * Reads the command line.
 * @returns the options, or undefined when help was asked for.
 * @throws UsageError naming the option and what it may be.
 */
export function parseOptions(argv: readonly string[]): LoadOptions | undefined {
  const given = parseTokens(argv);
  if (given.help) return undefined;
  const dialect = oneOf('dialect', given.dialect, DIALECTS);
  const encoding = oneOf('encoding', given.encoding, ENCODINGS);
  const cutsPerSecond = real('jitter', given.jitter, 0, 1_000_000);
  const layout = readLayout(given);
  const comesBack = cutsPerSecond > 0 || given.storm || layout.slowReaders > 0;
  if (dialect !== 'parley' && (encoding !== 'json' || comesBack)) {
    throw new UsageError(`--dialect ${dialect} has neither MessagePack nor resuming`);
  }
  if (given.idle && given.ramp) throw new UsageError('--idle sends nothing: there is no rate to --ramp');
  return {
    ...layout,
    urls: readUrls(given),
    serverEntry: given['server-entry'],
    databaseUrl: given['database-url'],
    rate: given.idle ? 0 : real('rate', given.rate, given.ramp ? 1 : 0, 1_000_000),
    seconds: real('seconds', given.seconds, 0.1, 86_400),
    warmupSeconds: real('warmup', given.warmup, 0, 3_600),
    drainSeconds: real('drain', given.drain, 0.1, 3_600),
    encoding,
    payloadBytes: whole('payload-bytes', given['payload-bytes'], MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    connectRate: real('connect-rate', given['connect-rate'], 1, 1_000_000),
    seed: whole('seed', given.seed, 0, 0xffff_ffff),
    allowOverload: given['allow-overload'],
    cutsPerSecond,
    storm: given.storm,
    idle: given.idle,
    ramp: given.ramp,
    p99LimitMs: real('p99-limit', given['p99-limit'], 1, 600_000),
    resolution: real('resolution', given.resolution, 1.01, 2),
    dialect,
    serverProcesses: whole('server-processes', given['server-processes'], 1, 32),
    serverPid: pid('server-pid', given),
    postgresPid: pid('postgres-pid', given),
    resultsDir: given.results,
    jsonFile: given.json,
    hdrPrefix: given.hdr,
  };
}
