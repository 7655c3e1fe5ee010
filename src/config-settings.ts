/**
 * The one table of settings (environment variables): what each is called, takes, defaults to and means. The
 * server validates with it (`config.ts`), and docs/configuration.md and .env.example are generated from it.
 */
import { availableParallelism } from 'node:os';
import {
  byteCount,
  duration,
  durationUpTo,
  endpoint,
  host,
  integer,
  mediaTypes,
  networks,
  oneOf,
  origins,
  secretOf,
  secretsOf,
  text,
  url,
  type ValueParser,
} from './config-values.js';

/** One environment variable. `T` includes undefined where it may stay unset. */
export interface Setting<T> {
  readonly parser: ValueParser<NonNullable<T>>;
  /** Text that the parser takes, or null: then the setting is unset, or computed as `defaultNote` says. */
  readonly default: string | null;
  readonly meaning: string;
  /** Its value must never be printed. */
  readonly secret: boolean;
  /** What the docs show in place of `default`. */
  readonly defaultNote: string | null;
}

type Extra = { readonly secret?: boolean; readonly defaultNote?: string };

function setting<T>(
  parser: ValueParser<NonNullable<T>>,
  preset: string | null,
  meaning: string,
  extra: Extra,
): Setting<T> {
  return {
    parser,
    default: preset,
    meaning,
    secret: extra.secret ?? false,
    defaultNote: extra.defaultNote ?? null,
  };
}

function preset<T extends NonNullable<unknown>>(
  parser: ValueParser<T>,
  value: string,
  meaning: string,
  extra: Extra = {},
) {
  return setting<T>(parser, value, meaning, extra);
}

function optional<T extends NonNullable<unknown>>(
  parser: ValueParser<T>,
  meaning: string,
  extra: Extra = {},
) {
  return setting<T | undefined>(parser, null, meaning, extra);
}

const PARTITIONS = 64; // DESIGN §1: a room's partition is fixed for ever, so more shards than that would idle
const DEFAULT_SHARDS_MAX = 22; // with one connection each this fills the default budget of connections

/** Bytes that an HS256 key must have at least (RFC 7518 §3.2: as long as the hash). */
export const JWT_SECRET_MIN_BYTES = 32;

const JWT_SECRETS_PREVIOUS_MAX = 4; // each costs 6 µs for a token that isn't ours

/** Connections to PostgreSQL that a process with default settings may open, PROTOCOL §6. */
export const DEFAULT_CONNECTION_BUDGET = 25;

/** Connections of the transfer thread, which needs few: it moves attachments' bytes, not messages. */
export const TRANSFER_CONNECTIONS = 2;

/** What `max_connections` of the embedded cluster leaves to one server (50 less 3 for superusers, 2 for migrations). */
export const EMBEDDED_CONNECTION_BUDGET = 45;

/** One thread is the front's; the rest are shards. */
export const defaultShards = (processes: number): number =>
  Math.min(DEFAULT_SHARDS_MAX, Math.max(1, Math.floor(availableParallelism() / processes) - 1));

/** Four a shard (two lanes of writes, two of reads), less where many shards would exceed the budget. */
export const defaultDbPoolSize = (shards: number, processes = 1): number => {
  const left = DEFAULT_CONNECTION_BUDGET - processes * TRANSFER_CONNECTIONS - 1;
  return Math.min(4, Math.max(1, Math.floor(left / shards)));
};

export const PROCESSES_MAX = 32; // beyond it more machines serve better

const GiB = 1_024 ** 3;
const MiB = 1_024 ** 2;

/** Section of the docs → its variables, in the order in which a reader wants them. */
export const SETTING_SECTIONS = {
  Process: ['NODE_ENV', 'LOG_LEVEL', 'DATA_DIR', 'PROCESSES', 'SHARDS'],
  Network: [
    'SERVER_HOST',
    'SERVER_PORT',
    'TLS_CERT_FILE',
    'TLS_KEY_FILE',
    'METRICS_HOST',
    'METRICS_PORT',
    'ALLOWED_ORIGINS',
    'TRUST_PROXY',
  ],
  PostgreSQL: [
    'DATABASE_URL',
    'DB_HOST',
    'DB_PORT',
    'DB_USER',
    'DB_PASSWORD',
    'DB_NAME',
    'DB_SSLMODE',
    'DB_POOL_SIZE',
    'SEARCH_LANGUAGE',
  ],
  Redis: ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT', 'REDIS_PASSWORD', 'REDIS_DB', 'REDIS_MODE'],
  'Attachment storage': [
    'STORAGE_TYPE',
    'STORAGE_DIR',
    'STORAGE_ENDPOINT',
    'STORAGE_ACCESS_KEY',
    'STORAGE_SECRET_KEY',
    'STORAGE_BUCKET',
    'STORAGE_REGION',
    'UPLOAD_ALLOWED_TYPES',
    'ATTACHMENT_URL_LIFE',
    'PUBLIC_URL',
  ],
  'Tokens and passwords': [
    'JWT_SECRET',
    'JWT_SECRET_PREVIOUS',
    'JWT_EXPIRATION',
    'REFRESH_EXPIRATION',
    'PASSWORD_HASH_MEMORY_KIB',
    'PASSWORD_HASH_PASSES',
  ],
  Limits: [
    'RATE_LIMIT_PER_MINUTE',
    'AUTH_RATE_LIMIT_PER_MINUTE',
    'WS_SENDS_PER_SECOND',
    'MAX_CONNECTIONS_PER_USER',
    'MAX_CONNECTIONS_PER_IP',
    'MAX_UPLOAD_BYTES',
    'UPLOADS_PER_MINUTE',
    'UPLOAD_QUOTA_BYTES',
    'MAX_BODY_BYTES',
    'WS_MAX_FRAME_BYTES',
    'MAX_ROOMS_PER_USER',
  ],
} as const satisfies Record<string, readonly (keyof typeof SETTINGS)[]>;

const port = integer(1, 65_535);
const listenPort = integer(0, 65_535);
const rate = integer(0, 1_000_000_000);

export const SETTINGS = {
  NODE_ENV: preset(
    oneOf('development', 'production', 'test'),
    'development',
    '`production` refuses every development default: it needs a database and JWT_SECRET.',
  ),
  LOG_LEVEL: preset(
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    'info',
    'Logs are JSON lines on stdout; lines below this level are left out.',
  ),
  DATA_DIR: preset(
    text('a path'),
    './data',
    'Directory of the embedded database, development secrets and, without STORAGE_DIR, local attachments. One server a directory.',
  ),
  PROCESSES: preset(
    integer(1, PROCESSES_MAX),
    '1',
    'Processes that share the public port, each with its own shards; also `npm start -- --processes N`.',
  ),
  SHARDS: optional(integer(1, PARTITIONS), 'Worker threads that own the rooms, in each process.', {
    defaultNote: `cores ÷ PROCESSES − 1, at least 1, at most ${DEFAULT_SHARDS_MAX}`,
  }),
  SERVER_HOST: preset(host, '0.0.0.0', 'Address of the public port.'),
  SERVER_PORT: preset(listenPort, '8080', 'Public port: REST and WebSocket. 0 picks a free one.'),
  TLS_CERT_FILE: optional(
    text('a path'),
    'Certificate chain (PEM) for the public port, which then speaks TLS alone. SIGHUP reads it anew. With it TLS_KEY_FILE.',
    { defaultNote: 'none: no TLS, or a proxy’s' },
  ),
  TLS_KEY_FILE: optional(text('a path'), 'Private key (PEM) of TLS_CERT_FILE.', { defaultNote: 'none' }),
  METRICS_HOST: preset(host, '127.0.0.1', 'Address of the metrics port.'),
  METRICS_PORT: preset(
    listenPort,
    '9090',
    'Port of /metrics, the live page /status and /log-level, and of nothing else. 0 picks a free one.',
  ),
  ALLOWED_ORIGINS: preset(
    origins,
    '',
    'Web origins beside the server’s own that may call REST (CORS) and open WebSockets.',
    {
      defaultNote: 'same origin only',
    },
  ),
  TRUST_PROXY: preset(
    networks,
    '',
    'Proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed.',
    { defaultNote: 'none' },
  ),
  DATABASE_URL: optional(
    url('postgres', 'postgresql'),
    'PostgreSQL to use; `?sslmode=` as DB_SSLMODE. Required in production, this or DB_HOST.',
    { secret: true, defaultNote: 'embedded PostgreSQL in DATA_DIR' },
  ),
  DB_HOST: optional(host, 'Instead of DATABASE_URL: its host. With it DB_USER and DB_NAME are required.'),
  DB_PORT: optional(port, 'Port of DB_HOST.', { defaultNote: '5432' }),
  DB_USER: optional(text('a role name'), 'Role to log in as at DB_HOST.'),
  DB_PASSWORD: optional(text('a password'), 'Password of DB_USER.', { secret: true, defaultNote: 'none' }),
  DB_NAME: optional(text('a database name'), 'Database at DB_HOST.'),
  DB_SSLMODE: optional(
    oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'),
    'TLS to DB_HOST. `allow` acts as `prefer`, and `verify-ca` as `verify-full`.',
    { defaultNote: 'disable' },
  ),
  DB_POOL_SIZE: optional(integer(1, 100), 'Database connections of each shard.', {
    defaultNote: `4, less where SHARDS × DB_POOL_SIZE + 1 would exceed ${DEFAULT_CONNECTION_BUDGET}`,
  }),
  SEARCH_LANGUAGE: preset(
    text('the name of a text search configuration of PostgreSQL', /^[a-z_][a-z0-9_]{0,62}$/),
    'simple',
    'What words of messages are alike to searches: `simple` looks for them as they are, `english`, `german` … by their stems. A change is applied when migrations run. The words of all messages are written anew afterwards, beside other work; until then searches of large rooms give short pages.',
  ),
  REDIS_URL: optional(
    url('redis', 'rediss'),
    'Redis that joins several nodes. Without it the server runs alone.',
    {
      secret: true,
      defaultNote: 'none: one server, whose processes share a hub',
    },
  ),
  REDIS_HOST: optional(host, 'Instead of REDIS_URL: its host.'),
  REDIS_PORT: optional(port, 'Port of REDIS_HOST.', { defaultNote: '6379' }),
  REDIS_PASSWORD: optional(text('a password'), 'Password of REDIS_HOST.', {
    secret: true,
    defaultNote: 'none',
  }),
  REDIS_DB: optional(integer(0, 65_535), 'Database number at REDIS_HOST.', { defaultNote: '0' }),
  REDIS_MODE: preset(
    oneOf('single', 'cluster'),
    'single',
    'With `cluster` that Redis is any node of a Redis Cluster, through which the others are found.',
  ),
  STORAGE_TYPE: preset(
    oneOf('local', 's3', 'minio'),
    'local',
    'Where attachments live: `local` in STORAGE_DIR, `s3`, or `minio` (s3 with path-style addresses).',
  ),
  STORAGE_DIR: optional(
    text('a path'),
    'Directory of attachments with `local`. Several nodes need one that all of them share and write to.',
    { defaultNote: 'attachments in DATA_DIR' },
  ),
  STORAGE_ENDPOINT: optional(endpoint, 'S3 server. Required with `minio`.', {
    defaultNote: 'AWS, by region',
  }),
  STORAGE_ACCESS_KEY: optional(text('an access key'), 'S3 access key. Required with `s3` and `minio`.', {
    secret: true,
  }),
  STORAGE_SECRET_KEY: optional(text('a secret key'), 'S3 secret key. Required with `s3` and `minio`.', {
    secret: true,
  }),
  STORAGE_BUCKET: optional(
    text('3 to 63 of a–z, 0–9, dot and hyphen', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
    'S3 bucket. Required with `s3` and `minio`.',
  ),
  STORAGE_REGION: optional(text('a region name', /^[\w-]{1,64}$/), 'S3 region.', {
    defaultNote: 'us-east-1',
  }),
  UPLOAD_ALLOWED_TYPES: preset(
    mediaTypes,
    'image/png,image/jpeg,image/gif,image/webp,image/avif,image/heic,image/heif,image/apng,image/bmp,image/tiff,' +
      'audio/*,video/*,application/ogg,application/pdf,application/zip,application/gzip,application/x-7z-compressed,' +
      'application/x-cfb,application/rtf,application/vnd.openxmlformats-officedocument.*,' +
      'application/vnd.oasis.opendocument.*,text/plain,application/octet-stream',
    'Media types of attachments, by their content; `*` stands for any rest. HTML, SVG and XML are never among them.',
  ),
  ATTACHMENT_URL_LIFE: preset(
    durationUpTo('7d'),
    '15m',
    'How long a link to an attachment is good; 7d at most.',
  ),
  PUBLIC_URL: optional(
    url('http', 'https'),
    'Where clients reach this server: put before the links to attachments in local storage.',
    { defaultNote: 'none: as the client called the server, and paths in events' },
  ),
  JWT_SECRET: optional(
    secretOf(JWT_SECRET_MIN_BYTES),
    'Key of access tokens (HS256). Required in production.',
    {
      secret: true,
      defaultNote: 'generated in DATA_DIR in development',
    },
  ),
  JWT_SECRET_PREVIOUS: optional(
    secretsOf(JWT_SECRET_MIN_BYTES, JWT_SECRETS_PREVIOUS_MAX),
    'Keys that sign nothing, but whose access tokens and links are accepted: what changes JWT_SECRET without signing anybody out.',
    { secret: true, defaultNote: 'none' },
  ),
  JWT_EXPIRATION: preset(duration, '24h', 'Life of an access token.'),
  REFRESH_EXPIRATION: preset(duration, '30d', 'Life of a refresh token.'),
  PASSWORD_HASH_MEMORY_KIB: preset(
    integer(1_024, 4_194_304),
    '19456',
    'Memory of one argon2id hash, in KiB.',
  ),
  PASSWORD_HASH_PASSES: preset(integer(1, 100), '2', 'Passes of one argon2id hash.'),
  RATE_LIMIT_PER_MINUTE: preset(
    rate,
    '100',
    'REST requests a user and minute, over all nodes and processes. 0 turns the limit off.',
  ),
  AUTH_RATE_LIMIT_PER_MINUTE: preset(
    rate,
    '10',
    'Registrations and log-ins an address and minute, over all nodes and processes. 0 turns it off.',
  ),
  WS_SENDS_PER_SECOND: preset(
    rate,
    '20',
    'Sends a user and second, in bursts of twice that, in each process. 0 turns it off.',
  ),
  MAX_CONNECTIONS_PER_USER: preset(rate, '20', 'Open sockets a user in each process. 0 turns it off.'),
  MAX_CONNECTIONS_PER_IP: preset(rate, '1000', 'Open sockets an address in each process. 0 turns it off.'),
  MAX_UPLOAD_BYTES: preset(byteCount(1, 5 * GiB), '100 MiB', 'Largest attachment.'),
  UPLOADS_PER_MINUTE: preset(
    rate,
    '30',
    'Uploads a user and minute, over all nodes and processes. 0 turns the limit off.',
  ),
  UPLOAD_QUOTA_BYTES: preset(
    byteCount(0, 1_024 * 1_024 * GiB),
    '0',
    'Bytes of attachments a user may have stored. 0 turns the quota off.',
  ),
  MAX_BODY_BYTES: preset(byteCount(1_024, 16 * MiB), '256 KiB', 'Largest request body other than an upload.'),
  MAX_ROOMS_PER_USER: preset(
    rate,
    '10000',
    'Rooms that one user may have made, direct ones apart. 0 turns the limit off.',
  ),
  WS_MAX_FRAME_BYTES: preset(byteCount(1_024, 16 * MiB), '512 KiB', 'Largest WebSocket frame from a client.'),
} as const;

export type SettingName = keyof typeof SETTINGS;
