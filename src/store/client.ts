import postgres from 'postgres';
import { withDeadline } from '../lib/deadline.js';
import { connectionError } from './connection-error.js';
import type { TlsMode } from './database-tls.js';
import { watchedSockets } from './watched-socket.js';

/** A pool of connections; every operation of the store takes one as its first argument. */
export type Db = postgres.Sql<{ bigint: number }>;
/** A transaction on one of its connections. */
export type Tx = postgres.TransactionSql<{ bigint: number }>;

const CONNECT_TIMEOUT_S = 2; // a request waits no longer than this for a database that is away (DESIGN §2)
const STATEMENT_TIMEOUT_MS = 5_000; // nothing on any path should take this long; frees the connection
// A node that is cut off within a transaction holds its locks against all others for no longer than this.
const IDLE_IN_TRANSACTION_MS = 3_000;
/** What a host that has vanished held is the database's again after half a minute, rather than after two hours. */
const KEEPALIVE = {
  tcp_keepalives_idle: 15,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 30_000,
};
const SILENT_MS = 6_000; // then the server is out of reach rather than busy: the connection is given up
const OUTCOME_MS = 16_000; // beyond all of these, connecting twice for TLS: the driver has lost it, and nobody may wait for ever
const RECONNECT_MAX_S = 1; // so that recovery follows the database's return within about a second

/**
 * Every statement goes by an index, with the plan that its connection keeps: to plan a lookup of one row anew, which
 * PostgreSQL prefers wherever an array is short, takes five times as long as the lookup. A plan that was kept from when
 * a table was small would read all of it for each row, until statistics are next gathered. Without the time for
 * compiling, which a disabled scan's cost would invite.
 */
const BY_INDEX = { enable_seqscan: 'off', jit: 'off', plan_cache_mode: 'force_generic_plan' };
/** So that times come in UTC, whatever the database's own zone is. */
const SESSION = { TimeZone: 'UTC' };
const DEFAULT_PORT = 5432;
const TOOL_CONNECT_TIMEOUT_S = 10;
const TOOL_IDLE_MS = 60_000; // a transaction that is left open: it keeps the database from tidying up
const BIGINT = { to: 20, from: [20], parse: Number, serialize: String };

/** Opens a pool; connections are made when needed. Numbers of 64 bits come as JavaScript numbers. */
export function openDatabase(url: string, connections: number, name: string): Db {
  const connectMs = CONNECT_TIMEOUT_S * 1_000;
  const socket = watchedSockets({ silentMs: SILENT_MS, connectMs, tls: tlsOf(url) });
  return postgres(url, {
    ...addressOf(url),
    max: connections,
    connect_timeout: CONNECT_TIMEOUT_S,
    ssl: false, // begun by the sockets
    ...{ socket }, // the option is missing in the types
    backoff: (retries) => Math.min(RECONNECT_MAX_S, 0.05 * 2 ** retries),
    onnotice: () => {},
    connection: {
      application_name: name,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      ...KEEPALIVE,
      ...BY_INDEX,
      ...SESSION,
    },
    types: { bigint: BIGINT },
  });
}

/** Opens connections for a command line, which may take its time: its reads can be whole tables. */
export function openToolDatabase(url: string, name: string): Db {
  return postgres(url, {
    ...addressOf(url),
    max: 2, // one reads by a cursor, the other writes
    connect_timeout: TOOL_CONNECT_TIMEOUT_S,
    onnotice: () => {},
    connection: {
      application_name: name,
      idle_in_transaction_session_timeout: TOOL_IDLE_MS,
      jit: 'off',
      ...KEEPALIVE,
      ...SESSION,
    },
    types: { bigint: BIGINT },
  });
}

/**
 * The driver would take an IPv6 address' first colon for the one before the port, so it gets such an address apart, in
 * lists, which its types don't know.
 */
export function addressOf(url: string): object {
  const { hostname, port } = new URL(url);
  if (!hostname.startsWith('[')) return {};
  return { host: [hostname.slice(1, -1)], port: [Number(port || DEFAULT_PORT)] };
}

function tlsOf(url: string): TlsMode {
  return (new URL(url).searchParams.get('sslmode') ?? 'disable') as TlsMode; // as config.ts lets it through
}

/** The database is away, or the connection broke so that the statement's outcome is unknown. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('the database is unavailable', { cause });
    this.name = 'StoreUnavailable';
  }
}

/** SQLSTATE classes that say "not now" rather than "not ever". */
const TRANSIENT_CLASSES = new Set(['08', '53', '57']); // connection, resources, operator intervention
const RETRYABLE = new Set(['40001', '40P01', '25P03']); // serialization failure, deadlock, idle in transaction
const DRIVER_FAILURES =
  /^(CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOENT|EHOST)/;
/** No connection, as its TLS is no good: Node's own codes, OpenSSL's, and those of certificates (X509_verify_cert_error). */
const TLS_FAILURES =
  /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_SELF_|SELF_SIGNED_|INVALID_(CA|PURPOSE)$)/;

export function isUnavailable(error: unknown): boolean {
  const code = sqlState(error);
  return (
    code !== null &&
    (DRIVER_FAILURES.test(code) ||
      TLS_FAILURES.test(code) ||
      TRANSIENT_CLASSES.has(code.slice(0, 2)) ||
      RETRYABLE.has(code))
  );
}

/** PostgreSQL's SQLSTATE, or the driver's code for a broken connection; null for any other error. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

/** A row refers to one that isn't there (any more): a user or room deleted meanwhile. */
export function isDangling(error: unknown): boolean {
  return sqlState(error) === '23503';
}

/** The constraint that a unique or foreign key violation names, else null. */
export function violatedConstraint(error: unknown): string | null {
  const { code, constraint_name } = (error ?? {}) as { code?: unknown; constraint_name?: unknown };
  return (code === '23505' || code === '23503') && typeof constraint_name === 'string'
    ? constraint_name
    : null;
}

function noOutcome(): Error {
  return connectionError(`no outcome within ${OUTCOME_MS} ms`, 'ETIMEDOUT');
}

/** Waits for a statement, turning connection trouble into {@link StoreUnavailable}. */
export async function run<T>(statement: PromiseLike<T>): Promise<T> {
  try {
    return await withDeadline(Promise.resolve(statement), OUTCOME_MS, noOutcome);
  } catch (error) {
    throw asStoreError(error);
  }
}

/** What is thrown for an error of the driver. */
export function asStoreError(error: unknown): unknown {
  return isUnavailable(error) ? new StoreUnavailable(error) : error;
}
