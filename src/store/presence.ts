import type { LastSeen, PresenceStore } from '../auth/presence-port.js';
import type { UserId } from '../protocol/ids.js';
import type { StatusChange } from '../protocol/signals.js';
import { type Db, run } from './client.js';

/**
 * What users chose to be shown as, in any order; deleted users are missing. Read by name, so that it holds
 * on a schema from before users could choose: then all are shown.
 * @throws StoreUnavailable
 */
export async function chosenStatuses(db: Db, user_ids: readonly UserId[]): Promise<StatusChange[]> {
  if (user_ids.length === 0) return [];
  return run(db<StatusChange[]>`
    select u.id as user_id, u.username, coalesce(to_jsonb(u) ->> 'status', 'online') as status
    from users u where u.id = any (${[...user_ids]}::uuid[]) and u.deleted_at is null`);
}

/**
 * Moves `last_seen_at` forward. Rows are locked in their order, so that nodes don't deadlock.
 * @throws StoreUnavailable
 */
export async function writeLastSeen(db: Db, seen: readonly LastSeen[]): Promise<void> {
  if (seen.length === 0) return;
  await run(db`
    with input as (
      select user_id, max(at) as at
      from unnest(
        ${seen.map(({ user_id }) => user_id)}::uuid[], ${seen.map(({ at }) => at.toISOString())}::timestamptz[]
      ) as i (user_id, at)
      group by user_id
    ), locked as (
      select u.id, i.at from users u join input i on i.user_id = u.id
      where u.last_seen_at is null or u.last_seen_at < i.at
      order by u.id
      for no key update of u
    )
    update users u set last_seen_at = l.at from locked l where u.id = l.id`);
}

/** The {@link PresenceStore} over a pool. */
export function presenceStore(db: Db): PresenceStore {
  return {
    statuses: (user_ids) => chosenStatuses(db, user_ids),
    writeLastSeen: (seen) => writeLastSeen(db, seen),
  };
}
