import type { Account, NewSession, PasswordChange, RefreshTokenState, SessionRecord } from '../auth/ports.js';
import type { SessionId, UserId } from '../protocol/ids.js';
import { type Db, run } from './client.js';

/**
 * Sessions and their refresh tokens (migration 000001).
 *
 *     (none) ──open──► live ──rotate──► live, later expires_at
 *                       ├──end, password changed, token reused──► ended   (revoked_at)
 *                       └──time──► expired   (expires_at)
 *
 * An ended or expired session never lives again; `purgeSessions` removes it with its tokens. Locks are taken in
 * the order user, session, refresh token.
 */

const PURGE_BATCH = 1_000; // rows in one statement, well within its 10 s also with a year of tokens each

/**
 * Opens a session with its first refresh token, if the user's password hash is still `password_hash` and he isn't
 * suspended. The lock on the user makes it come before or after a change of either, never across one.
 * @throws StoreUnavailable
 */
export async function openSession(
  db: Db,
  user_id: UserId,
  password_hash: string,
  session: NewSession,
): Promise<boolean> {
  const opened = await run(db`
    with owner as (
      select id from users
      where id = ${user_id} and password_hash = ${password_hash} and deleted_at is null
        and (suspended_until is null or suspended_until <= now())
      for share
    ), opened as (
      insert into sessions (id, user_id, device, expires_at)
      select ${session.id}::uuid, id, ${session.device}::text,
             now() + ${session.lifetimeMs}::float8 * interval '1 millisecond'
      from owner
      returning id
    )
    insert into refresh_tokens (token_hash, session_id)
    select ${session.refreshTokenHash}::bytea, id from opened`);
  return opened.count === 1;
}

/**
 * Spends a refresh token for the next and extends its session; null, and nothing done, where the token is
 * unknown or used or the session ended or expired. Of two at once the second waits for the session's lock and
 * then finds the token used.
 * @throws StoreUnavailable
 */
export async function rotateRefreshToken(
  db: Db,
  spent: Uint8Array,
  next: Uint8Array,
  lifetimeMs: number,
): Promise<{ sid: SessionId; account: Account } | null> {
  const [row] = await run(db<(Account & { sid: SessionId })[]>`
    with live as (
      select s.id, u.username, u.email, u.avatar_url, u.status as chosen_status, u.last_seen_at,
             u.created_at
      from refresh_tokens t
      join sessions s on s.id = t.session_id
      join users u on u.id = s.user_id
      where t.token_hash = ${spent} and t.used_at is null
        and s.revoked_at is null and s.expires_at > now() and u.deleted_at is null
      for no key update of s
    ), spent as (
      update refresh_tokens t set used_at = now()
      from live
      where t.token_hash = ${spent} and t.used_at is null
      returning t.session_id
    ), extended as (
      update sessions s
      set last_used_at = now(), expires_at = now() + ${lifetimeMs}::float8 * interval '1 millisecond'
      from spent
      where s.id = spent.session_id
      returning s.id, s.user_id
    ), next as (
      insert into refresh_tokens (token_hash, session_id)
      select ${next}::bytea, id from extended
    )
    select e.id as sid, e.user_id as id, l.username, l.email, l.avatar_url, l.chosen_status, l.last_seen_at,
           l.created_at
    from extended e join live l on l.id = e.id`);
  if (row === undefined) return null;
  const { sid, ...account } = row;
  return { sid, account };
}

/**
 * What is known of a refresh token; null if it was never given (or is purged).
 * @throws StoreUnavailable
 */
export async function refreshTokenState(db: Db, hash: Uint8Array): Promise<RefreshTokenState | null> {
  const [row] = await run(db<RefreshTokenState[]>`
    select t.session_id, s.user_id, t.used_at is not null as used,
           s.revoked_at is not null as session_ended, s.expires_at <= now() as session_expired,
           case when u.suspended_until > now() then extract(epoch from u.suspended_until)::float8 * 1000 end
             as suspended_until_ms
    from refresh_tokens t join sessions s on s.id = t.session_id join users u on u.id = s.user_id
    where t.token_hash = ${hash}`);
  return row ?? null;
}

/**
 * Ends one session of a user; false if the user has no such live session.
 * @throws StoreUnavailable
 */
export async function endSession(db: Db, user_id: UserId, sid: SessionId): Promise<boolean> {
  const ended = await run(db`
    update sessions set revoked_at = clock_timestamp()
    where id = ${sid} and user_id = ${user_id} and revoked_at is null and expires_at > now()`);
  return ended.count === 1;
}

/**
 * Replaces the password hash `from` by `to` and ends the user's other sessions; null if the hash isn't `from`.
 * Two statements in a transaction: the second sees sessions that were opened while the first waited for the
 * user's lock.
 *
 * @returns the sessions that it ended
 * @throws StoreUnavailable
 */
export function changePassword(db: Db, change: PasswordChange): Promise<SessionId[] | null> {
  return run(
    db.begin(async (tx) => {
      const changed = await tx`
        update users set password_hash = ${change.to}, updated_at = now()
        where id = ${change.user_id} and password_hash = ${change.from} and deleted_at is null`;
      if (changed.count === 0) return null;
      const ended = await tx<{ id: SessionId }[]>`
        update sessions set revoked_at = clock_timestamp()
        where user_id = ${change.user_id} and id <> ${change.sid} and revoked_at is null
        returning id`;
      return ended.map((row) => row.id);
    }),
  );
}

/**
 * A user's live sessions, at most `limit`, the last used first.
 * @throws StoreUnavailable
 */
export async function liveSessions(db: Db, user_id: UserId, limit: number): Promise<SessionRecord[]> {
  const rows = await run(db<SessionRecord[]>`
    select id, device, created_at, last_used_at, expires_at
    from sessions
    where user_id = ${user_id} and revoked_at is null and expires_at > now()
    order by last_used_at desc, id desc
    limit ${limit}`);
  return [...rows];
}

/**
 * Removes sessions that ended or expired before a time, with all their refresh tokens, a batch at a time. From
 * then on such a token is unknown rather than used.
 *
 * @returns how many it removed; call again until it is 0
 * @throws StoreUnavailable
 */
export async function purgeSessions(db: Db, before: Date): Promise<number> {
  const purged = await run(db`
    delete from sessions where id in (
      select id from sessions
      where revoked_at < ${before} or expires_at < ${before}
      limit ${PURGE_BATCH}
      for update skip locked
    )`);
  return purged.count;
}
