import type { Account, ProfilePatch, ProfileStore } from '../auth/ports.js';
import type { UserId } from '../protocol/ids.js';
import { type Db, run, violatedConstraint } from './client.js';

/** What users show of themselves (migration 000006). */

/** @throws StoreUnavailable */
export async function patchProfile(
  db: Db,
  user_id: UserId,
  { username, avatar_url, status }: ProfilePatch,
): Promise<Account | 'taken' | null> {
  try {
    const [account] = await run(db<Account[]>`
      update users
      set username = coalesce(${username ?? null}, username),
          avatar_url = case when ${avatar_url === undefined} then avatar_url else ${avatar_url ?? null} end,
          status = coalesce(${status ?? null}, status),
          updated_at = clock_timestamp()
      where id = ${user_id} and deleted_at is null
      returning id, username, email, avatar_url, status as chosen_status, last_seen_at, created_at`);
    return account ?? null;
  } catch (error) {
    if (violatedConstraint(error) === 'users_username_key') return 'taken';
    throw error;
  }
}

/**
 * Users whose names start with a text of letters, digits, - and _, by the bytes of their names. The range is
 * spelt out because `like` takes its index only for a pattern that is known when the statement is planned.
 * @throws StoreUnavailable
 */
export async function usersByPrefix(db: Db, prefix: string, limit: number): Promise<Account[]> {
  const from = prefix.toLowerCase();
  const to = from.slice(0, -1) + String.fromCharCode(from.charCodeAt(from.length - 1) + 1);
  return await run(db<Account[]>`
    select id, username, email, avatar_url, status as chosen_status, last_seen_at, created_at
    from users
    where lower(username) ~>=~ ${from} and lower(username) ~<~ ${to} and deleted_at is null
    order by lower(username) using ~<~
    limit ${limit}`);
}

/** The {@link ProfileStore} over a pool. */
export function profileStore(db: Db): ProfileStore {
  return {
    patchProfile: (user_id, patch) => patchProfile(db, user_id, patch),
    usersByPrefix: (prefix, limit) => usersByPrefix(db, prefix, limit),
  };
}
