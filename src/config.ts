/**
 * The server's configuration: environment variables, validated as a whole at start against the one table in
 * `config-settings.ts`. Every mistake is named, not only the first.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  defaultDbPoolSize,
  defaultShards,
  EMBEDDED_CONNECTION_BUDGET,
  SETTINGS,
  type Setting,
  type SettingName,
  TRANSFER_CONNECTIONS,
} from './config-settings.js';
import { readTls, type TlsFiles } from './config-tls.js';

/** Plain frozen data: it is cloned into worker threads. Durations in ms, sizes in bytes unless named otherwise. */
export interface Config {
  readonly nodeEnv: 'development' | 'production' | 'test';
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Absolute path. */
  readonly dataDir: string;
  readonly server: { readonly host: string; readonly port: number };
  /** Of the public port; null where it speaks plain HTTP. */
  readonly tls: TlsFiles | null;
  /** Whether clients reach the server by TLS, its own or (as PUBLIC_URL says) a proxy's. */
  readonly isHttps: boolean;
  readonly metrics: { readonly host: string; readonly port: number };
  /** null: the embedded cluster in DATA_DIR. */
  readonly database: { readonly url: string } | null;
  /** null: one node, in-process bus and limits. */
  readonly redis: { readonly url: string; readonly cluster: boolean } | null;
  readonly storage: StorageConfig;
  readonly attachments: {
    /** Media types, lower case; a trailing `*` stands for any rest. */
    readonly allowedTypes: readonly string[];
    readonly urlLifeMs: number;
    /** Without trailing slash; null: links to local storage start with what the client called, or are paths. */
    readonly publicUrl: string | null;
    /** Bytes; 0 turns it off. */
    readonly quotaBytes: number;
  };
  /** `secret` null: generated in DATA_DIR (never in production). */
  readonly jwt: {
    readonly secret: string | null;
    /** Sign nothing; what they signed is accepted. */
    readonly previousSecrets: readonly string[];
    readonly expirationMs: number;
    readonly refreshExpirationMs: number;
  };
  /** How many processes share the public port. */
  readonly processes: number;
  /** Worker threads of each process. */
  readonly shards: number;
  /** Database connections of each shard. */
  readonly dbPoolSize: number;
  /** A text search configuration of PostgreSQL; whether it exists is known when migrations run. */
  readonly searchLanguage: string;
  /** Origins as browsers send them, lower case, beside the server's own. */
  readonly allowedOrigins: readonly string[];
  /** IP addresses and CIDR ranges of proxies whose X-Forwarded-For is believed. */
  readonly trustProxy: readonly string[];
  /** 0 turns a rate or a number of connections off. */
  readonly limits: {
    readonly restPerMinute: number;
    readonly authPerMinute: number;
    readonly wsSendsPerSecond: number;
    readonly maxConnectionsPerUser: number;
    readonly maxConnectionsPerIp: number;
    readonly maxUploadBytes: number;
    readonly uploadsPerMinute: number;
    readonly maxBodyBytes: number;
    readonly wsMaxFrameBytes: number;
    /** Rooms that one user may have made; 0 turns it off. */
    readonly roomsPerUser: number;
  };
  readonly passwordHash: { readonly memoryKib: number; readonly passes: number };
}

export type StorageConfig =
  | {
      readonly type: 'local';
      /** Absolute path. */
      readonly directory: string;
      /** Whether it lies in DATA_DIR, of which every server has one of its own. */
      readonly isOwn: boolean;
    }
  | {
      readonly type: 's3';
      /** URL without trailing slash; null is AWS. */
      readonly endpoint: string | null;
      readonly accessKey: string;
      readonly secretKey: string;
      readonly bucket: string;
      readonly region: string;
      readonly pathStyle: boolean;
    };

type Values = { readonly [K in SettingName]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never };

const OWN_STORAGE = 'attachments'; // in DATA_DIR
const STORAGE_NEEDS = ['STORAGE_BUCKET', 'STORAGE_ACCESS_KEY', 'STORAGE_SECRET_KEY'] as const;

/**
 * Reads and checks all settings.
 *
 * @returns the frozen configuration, or one line per mistake, each naming its variable and what is allowed; a
 * secret's value never appears in it.
 */
export function loadConfig(
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
): { ok: true; config: Config } | { ok: false; mistakes: string[] } {
  const mistakes: string[] = [];
  const values = readValues(withArguments(env, args, mistakes), mistakes);
  const database = readDatabase(values, mistakes);
  const redis = readRedis(values, mistakes);
  const storage = readStorage(values, mistakes);
  const tls = readTls(values.TLS_CERT_FILE, values.TLS_KEY_FILE, mistakes);
  checkPorts(values, mistakes);
  checkProduction(values, mistakes);
  const processes = values.PROCESSES;
  const shards = values.SHARDS ?? defaultShards(processes);
  const dbPoolSize = values.DB_POOL_SIZE ?? defaultDbPoolSize(shards * processes, processes);
  const beside = processes * TRANSFER_CONNECTIONS + 1;
  if (database === null && processes * shards * dbPoolSize + beside > EMBEDDED_CONNECTION_BUDGET) {
    mistakes.push(
      `DB_POOL_SIZE: ${processes * shards} shards × ${dbPoolSize} + ${beside} connections are more than the embedded database's ` +
        `${EMBEDDED_CONNECTION_BUDGET}; lower SHARDS or DB_POOL_SIZE, or give DATABASE_URL`,
    );
  }
  if (mistakes.length > 0) return { ok: false, mistakes };
  return {
    ok: true,
    config: deepFreeze({
      nodeEnv: values.NODE_ENV,
      logLevel: values.LOG_LEVEL,
      dataDir: resolve(values.DATA_DIR),
      server: { host: values.SERVER_HOST, port: values.SERVER_PORT },
      tls,
      isHttps: tls !== null || values.PUBLIC_URL?.startsWith('https:') === true,
      metrics: { host: values.METRICS_HOST, port: values.METRICS_PORT },
      database,
      redis,
      storage,
      attachments: {
        allowedTypes: values.UPLOAD_ALLOWED_TYPES,
        urlLifeMs: values.ATTACHMENT_URL_LIFE,
        publicUrl: values.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
        quotaBytes: values.UPLOAD_QUOTA_BYTES,
      },
      jwt: {
        secret: values.JWT_SECRET ?? null,
        previousSecrets: values.JWT_SECRET_PREVIOUS ?? [],
        expirationMs: values.JWT_EXPIRATION,
        refreshExpirationMs: values.REFRESH_EXPIRATION,
      },
      processes,
      shards,
      dbPoolSize,
      searchLanguage: values.SEARCH_LANGUAGE,
      allowedOrigins: values.ALLOWED_ORIGINS,
      trustProxy: values.TRUST_PROXY,
      limits: {
        restPerMinute: values.RATE_LIMIT_PER_MINUTE,
        authPerMinute: values.AUTH_RATE_LIMIT_PER_MINUTE,
        wsSendsPerSecond: values.WS_SENDS_PER_SECOND,
        maxConnectionsPerUser: values.MAX_CONNECTIONS_PER_USER,
        maxConnectionsPerIp: values.MAX_CONNECTIONS_PER_IP,
        maxUploadBytes: values.MAX_UPLOAD_BYTES,
        uploadsPerMinute: values.UPLOADS_PER_MINUTE,
        maxBodyBytes: values.MAX_BODY_BYTES,
        wsMaxFrameBytes: values.WS_MAX_FRAME_BYTES,
        roomsPerUser: values.MAX_ROOMS_PER_USER,
      },
      passwordHash: { memoryKib: values.PASSWORD_HASH_MEMORY_KIB, passes: values.PASSWORD_HASH_PASSES },
    }),
  };
}

/**
 * In development, adds the variables of `.env` in the working directory to process.env; what the real
 * environment has wins. Call it before `loadConfig(process.env)`.
 *
 * @throws where `.env` exists and can't be read
 */
export function readDotEnv(): void {
  if ((process.env.NODE_ENV || 'development') !== 'development') return;
  try {
    process.loadEnvFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** `--processes N` is PROCESSES=N; nothing else is taken. */
function withArguments(
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  mistakes: string[],
): NodeJS.ProcessEnv {
  try {
    const { values } = parseArgs({ args: [...args], options: { processes: { type: 'string' } } });
    return values.processes === undefined ? env : { ...env, PROCESSES: values.processes };
  } catch (error) {
    mistakes.push(error instanceof Error ? error.message : String(error));
    return env;
  }
}

/** An empty variable counts as unset (compose files pass those). A refused value leaves the default in its place. */
function readValues(env: NodeJS.ProcessEnv, mistakes: string[]): Values {
  const values = Object.entries<Setting<unknown>>(SETTINGS).map(([name, setting]) => {
    const given = setting.secret ? env[name] : env[name]?.trim();
    const preset = setting.default === null ? undefined : setting.parser.parse(setting.default);
    if (given === undefined || given === '') return [name, preset];
    const value = setting.parser.parse(given);
    if (value !== undefined) return [name, value];
    const shown = setting.secret
      ? `its value (${Buffer.byteLength(given)} bytes, not shown)`
      : JSON.stringify(given);
    mistakes.push(`${name}: ${shown} is not allowed; allowed: ${setting.parser.allowed}`);
    return [name, preset];
  });
  return Object.fromEntries(values) as Values;
}

function namesGiven(values: Values, names: readonly SettingName[]): SettingName[] {
  return names.filter((name) => values[name] !== undefined);
}

function readDatabase(values: Values, mistakes: string[]): Config['database'] {
  const parts = namesGiven(values, ['DB_HOST', 'DB_PORT', 'DB_USER', 'DB_PASSWORD', 'DB_NAME', 'DB_SSLMODE']);
  if (values.DATABASE_URL !== undefined) {
    if (parts.length > 0)
      mistakes.push(`DATABASE_URL: given together with ${parts.join(', ')}; allowed: one or the other`);
    return { url: checkedDatabaseUrl(values.DATABASE_URL, mistakes) };
  }
  if (parts.length === 0) return null;
  for (const name of ['DB_HOST', 'DB_USER', 'DB_NAME'] as const) {
    if (values[name] === undefined)
      mistakes.push(`${name}: missing, and required because ${parts.join(', ')} is given`);
  }
  const login = [values.DB_USER ?? '', ...(values.DB_PASSWORD === undefined ? [] : [values.DB_PASSWORD])];
  const address = hostAndPort(values.DB_HOST ?? 'localhost', values.DB_PORT ?? 5432);
  const url = new URL(`postgres://${login.map(encodeURIComponent).join(':')}@${address}`);
  url.pathname = `/${encodeURIComponent(values.DB_NAME ?? '')}`;
  if (values.DB_SSLMODE !== undefined) url.searchParams.set('sslmode', driverSslMode(values.DB_SSLMODE));
  return { url: url.href };
}

/** What the store says itself: TLS by `sslmode` alone, and by their names which connections are a node's. */
const REFUSED_PARAMETERS = ['ssl', 'sslnegotiation', 'application_name'];

function checkedDatabaseUrl(given: string, mistakes: string[]): string {
  const url = new URL(given);
  const mode = url.searchParams.get('sslmode');
  for (const name of REFUSED_PARAMETERS) {
    if (url.searchParams.has(name))
      mistakes.push(`DATABASE_URL: the parameter ${name} is not allowed; allowed for TLS: sslmode`);
  }
  if (url.pathname.length < 2)
    mistakes.push('DATABASE_URL: names no database; allowed: postgres://user:password@host:port/database');
  if (mode === null) return given;
  const known = SETTINGS.DB_SSLMODE.parser.parse(mode);
  if (known === undefined) {
    mistakes.push(
      `DATABASE_URL: sslmode=${JSON.stringify(mode)} is not allowed; allowed: ${SETTINGS.DB_SSLMODE.parser.allowed}`,
    );
    return given;
  }
  url.searchParams.set('sslmode', driverSslMode(known));
  return url.href;
}

/** postgres.js knows no verify-ca, and with `allow` fails where the server has no TLS: take the next stricter mode. */
function driverSslMode(mode: NonNullable<Values['DB_SSLMODE']>): string {
  if (mode === 'allow') return 'prefer';
  return mode === 'verify-ca' ? 'verify-full' : mode;
}

function hostAndPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function readRedis(values: Values, mistakes: string[]): Config['redis'] {
  const parts = namesGiven(values, ['REDIS_HOST', 'REDIS_PORT', 'REDIS_PASSWORD', 'REDIS_DB']);
  if (values.REDIS_URL !== undefined) {
    if (parts.length > 0)
      mistakes.push(`REDIS_URL: given together with ${parts.join(', ')}; allowed: one or the other`);
    return { url: values.REDIS_URL, cluster: values.REDIS_MODE === 'cluster' };
  }
  if (parts.length === 0) return null;
  if (values.REDIS_HOST === undefined)
    mistakes.push(`REDIS_HOST: missing, and required because ${parts.join(', ')} is given`);
  const login = values.REDIS_PASSWORD === undefined ? '' : `:${encodeURIComponent(values.REDIS_PASSWORD)}@`;
  const address = hostAndPort(values.REDIS_HOST ?? 'localhost', values.REDIS_PORT ?? 6379);
  return {
    url: `redis://${login}${address}/${values.REDIS_DB ?? 0}`,
    cluster: values.REDIS_MODE === 'cluster',
  };
}

function readStorage(values: Values, mistakes: string[]): StorageConfig {
  if (values.STORAGE_TYPE === 'local') {
    const useless = namesGiven(values, ['STORAGE_ENDPOINT', ...STORAGE_NEEDS, 'STORAGE_REGION']);
    if (useless.length > 0) {
      mistakes.push(
        `STORAGE_TYPE: is "local", yet ${useless.join(', ')} is given; allowed: s3 or minio with these, or none of these`,
      );
    }
    const { STORAGE_DIR: given } = values;
    const directory = resolve(given ?? join(values.DATA_DIR, OWN_STORAGE));
    return { type: 'local', directory, isOwn: given === undefined };
  }
  if (values.STORAGE_DIR !== undefined) {
    mistakes.push(
      `STORAGE_DIR: is given, yet STORAGE_TYPE is "${values.STORAGE_TYPE}"; allowed: STORAGE_TYPE=local with it, or none of it`,
    );
  }
  const needed =
    values.STORAGE_TYPE === 'minio' ? (['STORAGE_ENDPOINT', ...STORAGE_NEEDS] as const) : STORAGE_NEEDS;
  for (const name of needed) {
    if (values[name] === undefined)
      mistakes.push(`${name}: missing, and required with STORAGE_TYPE=${values.STORAGE_TYPE}`);
  }
  return {
    type: 's3',
    endpoint: values.STORAGE_ENDPOINT ?? null,
    accessKey: values.STORAGE_ACCESS_KEY ?? '',
    secretKey: values.STORAGE_SECRET_KEY ?? '',
    bucket: values.STORAGE_BUCKET ?? '',
    region: values.STORAGE_REGION ?? 'us-east-1',
    pathStyle: values.STORAGE_TYPE === 'minio',
  };
}

function checkPorts(values: Values, mistakes: string[]): void {
  const wildcards = ['0.0.0.0', '::'];
  const hosts = [values.SERVER_HOST, values.METRICS_HOST];
  const overlap = hosts[0] === hosts[1] || hosts.some((host) => wildcards.includes(host));
  if (overlap && values.SERVER_PORT !== 0 && values.SERVER_PORT === values.METRICS_PORT) {
    mistakes.push(`METRICS_PORT: ${values.METRICS_PORT} is SERVER_PORT too; allowed: another port, or 0`);
  }
}

/** Production refuses every development default, PROTOCOL §6. */
function checkProduction(values: Values, mistakes: string[]): void {
  if (values.NODE_ENV !== 'production') return;
  const refused = (name: SettingName): boolean => mistakes.some((line) => line.startsWith(`${name}:`));
  const asParts = namesGiven(values, ['DB_HOST', 'DB_USER', 'DB_NAME']).length > 0;
  if (values.DATABASE_URL === undefined && !asParts && !refused('DATABASE_URL')) {
    mistakes.push('DATABASE_URL: missing, and required in production (or DB_HOST, DB_USER, DB_NAME)');
  }
  if (values.JWT_SECRET === undefined && !refused('JWT_SECRET')) {
    mistakes.push(
      `JWT_SECRET: missing, and required in production; allowed: ${SETTINGS.JWT_SECRET.parser.allowed}`,
    );
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
