import {
  type Accounts,
  type AccountsOptions,
  createAccounts,
  type SignedIn,
} from '../../src/auth/accounts.js';
import { hashPassword, isOutdatedHash, verifyPassword } from '../../src/auth/password-hash.js';
import { verifyAccessToken } from '../../src/auth/tokens.js';
import type { Caller } from '../../src/ipc/messages.js';
import { Refusal } from '../../src/protocol/errors.js';
import type { SessionId } from '../../src/protocol/ids.js';
import { changesSince } from '../../src/store/changes.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { accountStore } from '../../src/store/users.js';
import { createTestDatabase } from './database.js';

const SECRET = 'a secret of tests, of no use elsewhere, long enough';
export const HASH_COST = { memoryKib: 1_024, passes: 1 }; // the cheapest that the configuration allows
export const DAY_MS = 86_400_000;
export const PASSWORD = 'correct horse battery';

/** Somebody registered by a test, from a device called Laptop. */
export interface Registered {
  readonly caller: Caller;
  readonly signedIn: SignedIn;
  readonly email: string;
  readonly username: string;
}

/** Accounts on a database of a test file's own, without a server around them. */
export interface AccountFixture {
  readonly db: Db;
  readonly accounts: Accounts;
  /** Sessions that the front was told to close, since the last `forget`. */
  readonly ended: readonly SessionId[];
  /** Every verification, [password, hash], since the last `forget`. */
  readonly verified: readonly (readonly [string, string])[];
  /** Accounts with other ports or settings. */
  readonly accountsWith: (options: Partial<AccountsOptions>) => Accounts;
  readonly somebody: () => Promise<Registered>;
  readonly alive: (caller: Caller) => Promise<boolean>;
  readonly forget: () => void;
  readonly close: () => Promise<void>;
}

export async function accountFixture(): Promise<AccountFixture> {
  const database = await createTestDatabase();
  const db = openDatabase(database.url, 8, 'account-fixture');
  const ended: SessionId[] = [];
  const verified: [string, string][] = [];
  let people = 0;

  const accountsWith = (options: Partial<AccountsOptions>): Accounts =>
    createAccounts({
      store: accountStore(db),
      hasher: {
        hash: async (password) => hashPassword(password, HASH_COST),
        verify: async (password, hash) => {
          verified.push([password, hash]);
          return verifyPassword(password, hash);
        },
        isOutdated: (hash) => isOutdatedHash(hash, HASH_COST),
      },
      ends: { end: (_user_id, sids) => ended.push(...sids) },
      statusOf: () => 'offline',
      jwtSecret: SECRET,
      expirationMs: DAY_MS,
      refreshExpirationMs: 30 * DAY_MS,
      ...options,
    });
  const accounts = accountsWith({});

  return {
    db,
    accounts,
    ended,
    verified,
    accountsWith,
    async somebody() {
      people += 1;
      const username = `Person_${people}`;
      const email = `${username}@Example.org`;
      const signedIn = await accounts.register({ username, email, password: PASSWORD }, 'Laptop');
      return { caller: callerIn(signedIn), signedIn, email, username };
    },
    alive: async ({ sid }) =>
      !(await changesSince(db, null, DAY_MS)).ended.some((session) => session.sid === sid),
    forget() {
      ended.length = 0;
      verified.length = 0;
    },
    async close() {
      await db.end();
      await database.drop();
    },
  };
}

/** Who the access token says it is. */
export function callerIn(signedIn: SignedIn): Caller {
  const check = verifyAccessToken(signedIn.token, SECRET);
  if (!check.ok) throw new Error(`an access token that is ${check.code}`);
  return check.caller;
}

/** What an attempt was refused with: its code, and its field if it names one. */
export async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refusal)) throw new Error('not a refusal', { cause: error });
  const { code, field } = error.problem;
  return field === undefined ? code : `${code} ${field}`;
}

/** `granted`, or the refusal, of attempts made at once; sorted. */
export async function outcomes(attempts: readonly Promise<unknown>[]): Promise<string[]> {
  const all = attempts.map((attempt) =>
    attempt.then(
      () => 'granted',
      () => refusalOf(attempt),
    ),
  );
  return (await Promise.all(all)).sort();
}
