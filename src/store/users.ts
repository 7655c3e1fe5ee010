import type { Account, AccountStore, Credentials, NewAccount, NewSession } from '../auth/ports.js';
import type { UserId } from '../protocol/ids.js';
import { type Db, run, violatedConstraint } from './client.js';
import {
  changePassword,
  endSession,
  liveSessions,
  openSession,
  refreshTokenState,
  rotateRefreshToken,
} from './sessions.js';

/** Users (migration 000001). Deleted ones are as if they weren't there, but keep their row and their name. */

/** The unique indexes of `users` and the member of a request that each guards. */
const UNIQUE_MEMBERS = new Map<string | null, 'email' | 'username'>([
  ['users_email_key', 'email'],
  ['users_username_key', 'username'],
]);

/**
 * Creates a user, the first session and its refresh token in one statement, so that nobody is half registered.
 * @returns the account, or which of email and username is taken, in any case
 * @throws StoreUnavailable
 */
export async function createAccount(
  db: Db,
  account: NewAccount,
  session: NewSession,
): Promise<{ ok: true; account: Account } | { ok: false; taken: 'email' | 'username' }> {
  try {
    const [created] = await run(db<Account[]>`
      with created as (
        insert into users (id, username, email, password_hash)
        values (${account.id}, ${account.username}, ${account.email}, ${account.password_hash})
        returning id, username, email, avatar_url, status as chosen_status, last_seen_at, created_at
      ), opened as (
        insert into sessions (id, user_id, device, expires_at)
        select ${session.id}::uuid, id, ${session.device}::text,
               now() + ${session.lifetimeMs}::float8 * interval '1 millisecond'
        from created
        returning id
      ), given as (
        insert into refresh_tokens (token_hash, session_id)
        select ${session.refreshTokenHash}::bytea, id from opened
      )
      select * from created`);
    if (created === undefined) throw new Error('an insert without conflict returned no row');
    return { ok: true, account: created };
  } catch (error) {
    const taken = UNIQUE_MEMBERS.get(violatedConstraint(error));
    if (taken === undefined) throw error;
    return { ok: false, taken };
  }
}

/**
 * The account with this email, in any case, and its password hash.
 * @throws StoreUnavailable
 */
export async function credentialsByEmail(db: Db, email: string): Promise<Credentials | null> {
  const [row] = await run(db<(Account & Omit<Credentials, 'account'>)[]>`
    select id, username, email, avatar_url, status as chosen_status, last_seen_at, created_at, password_hash,
      case when suspended_until > now() then extract(epoch from suspended_until)::float8 * 1000 end
        as suspended_until_ms
    from users
    where lower(email) = lower(${email}) and deleted_at is null`);
  if (row === undefined) return null;
  const { password_hash, suspended_until_ms, ...account } = row;
  return { account, password_hash, suspended_until_ms };
}

/** @throws StoreUnavailable */
export async function passwordHashOf(db: Db, user_id: UserId): Promise<string | null> {
  const [row] = await run(db<{ password_hash: string }[]>`
    select password_hash from users where id = ${user_id} and deleted_at is null`);
  return row?.password_hash ?? null;
}

/** @throws StoreUnavailable */
export async function accountById(db: Db, user_id: UserId): Promise<Account | null> {
  const [row] = await run(db<Account[]>`
    select id, username, email, avatar_url, status as chosen_status, last_seen_at, created_at
    from users
    where id = ${user_id} and deleted_at is null`);
  return row ?? null;
}

/**
 * Replaces a hash of a password by another of the same one.
 * @throws StoreUnavailable
 */
export async function rehash(db: Db, user_id: UserId, from: string, to: string): Promise<void> {
  await run(db`
    update users set password_hash = ${to}
    where id = ${user_id} and password_hash = ${from} and deleted_at is null`);
}

/** The store that accounts ask for, on this pool. */
export function accountStore(db: Db): AccountStore {
  return {
    createAccount: (account, session) => createAccount(db, account, session),
    credentialsByEmail: (email) => credentialsByEmail(db, email),
    passwordHashOf: (user_id) => passwordHashOf(db, user_id),
    accountById: (user_id) => accountById(db, user_id),
    openSession: (user_id, password_hash, session) => openSession(db, user_id, password_hash, session),
    rotateRefreshToken: (spent, next, lifetimeMs) => rotateRefreshToken(db, spent, next, lifetimeMs),
    refreshTokenState: (hash) => refreshTokenState(db, hash),
    endSession: (user_id, sid) => endSession(db, user_id, sid),
    changePassword: (change) => changePassword(db, change),
    rehash: (user_id, from, to) => rehash(db, user_id, from, to),
    liveSessions: (user_id, limit) => liveSessions(db, user_id, limit),
  };
}
