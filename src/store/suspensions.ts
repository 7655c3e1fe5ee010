import { isUuid, type UserId } from '../protocol/ids.js';
import { type Db, run } from './client.js';
import { noteOperator } from './operator-log.js';

export interface NamedUser {
  readonly id: UserId;
  readonly username: string;
  readonly deleted: boolean;
}

/**
 * The user with this id, or else with this name in any case. Deleted ones are found by their id and by the name that
 * the deletion gave them. @throws StoreUnavailable
 */
export async function findUser(db: Db, idOrName: string): Promise<NamedUser | null> {
  const id = isUuid(idOrName) ? idOrName : null;
  const [row] = await run(db<NamedUser[]>`
    select id, username, deleted_at is not null as deleted from users
    where id = ${id}::uuid or lower(username) = lower(${idOrName})
    order by (id = ${id}::uuid) is true desc limit 1`);
  return row ?? null;
}

/**
 * Keeps a user from logging in, and ends his sessions; every node sees these ends when it next looks. The lock on the
 * user makes it come before or after the opening of a session, never across one. What he wrote stays.
 *
 * @param forMs milliseconds from now; null: until it is lifted
 * @returns how many sessions ended; null where there is no such user
 * @throws StoreUnavailable
 */
export function suspendUser(
  db: Db,
  user_id: UserId,
  { forMs, reason }: { readonly forMs: number | null; readonly reason: string | null },
): Promise<number | null> {
  return run(
    db.begin(async (tx) => {
      const [suspended] = await tx<{ until: string }[]>`
        update users
        set suspended_until = coalesce(now() + ${forMs}::float8 * interval '1 millisecond', 'infinity')
        where id = ${user_id} and deleted_at is null
        returning suspended_until::text as until`;
      if (suspended === undefined) return null;
      const ended = await tx`
        update sessions set revoked_at = clock_timestamp() where user_id = ${user_id} and revoked_at is null`;
      await noteOperator(tx, {
        command: 'suspend',
        target: user_id,
        details: { until: suspended.until, reason },
      });
      return ended.count;
    }),
  );
}

/** Lets a user log in again; false where he wasn't kept from it. @throws StoreUnavailable */
export function unsuspendUser(db: Db, user_id: UserId): Promise<boolean> {
  return run(
    db.begin(async (tx) => {
      const lifted = await tx`
        update users set suspended_until = null where id = ${user_id} and suspended_until > now()`;
      if (lifted.count === 0) return false;
      await noteOperator(tx, { command: 'unsuspend', target: user_id });
      return true;
    }),
  );
}
