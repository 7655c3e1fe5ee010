import { randomBytes } from 'node:crypto';
import type { RoomId, SessionId, UserId } from '../protocol/ids.js';
import type { Role, RoomType } from '../protocol/model.js';
import type { AccountRemovalStore, RemovedAccount } from '../rooms/account-removal-port.js';
import { type Db, run, StoreUnavailable, type Tx } from './client.js';

// Each attempt finds rooms that the user has got into since the one before; that often is no accident.
const ATTEMPTS = 5;

interface Membership {
  readonly room_id: RoomId;
  readonly type: RoomType;
  readonly role: Role;
  /** Members beside the user whose accounts exist. */
  readonly others: number;
  readonly other_admins: number;
}

/** The {@link AccountRemovalStore} over a pool. */
export function accountRemovalStore(db: Db): AccountRemovalStore {
  return { removeAccount: (user_id) => removeAccount(db, user_id) };
}

/**
 * Locks are taken as everywhere: rooms in the order of their ids, then the user, then the counters of rooms. Whoever
 * adds the user to a room holds that room's lock and waits for the user's; so what the user belongs to is known
 * only under his lock, and where a room came in between the two, all begins anew.
 */
async function removeAccount(db: Db, user_id: UserId): Promise<RemovedAccount | 'last_admin' | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await run(db.begin((tx) => attemptRemoval(tx, user_id)));
    if (outcome !== 'again') return outcome;
  }
  throw new StoreUnavailable(new Error('the user is being added to rooms all the time'));
}

async function attemptRemoval(
  tx: Tx,
  user_id: UserId,
): Promise<RemovedAccount | 'last_admin' | 'again' | null> {
  const locked = await lockRooms(tx, user_id);
  const username = await lockUser(tx, user_id);
  if (username === null) return null;
  const memberships = await membershipsOf(tx, user_id);
  if (memberships.some(({ room_id }) => !locked.has(room_id))) return 'again';
  if (memberships.some(isLastAdmin)) return 'last_admin';
  const deleted = memberships.filter(({ others }) => others === 0).map(({ room_id }) => room_id);
  const left = memberships
    .filter(({ type, others }) => type !== 'direct' && others > 0)
    .map(({ room_id }) => room_id);
  await deleteRooms(tx, deleted);
  await leaveRooms(tx, user_id, left);
  await blankUser(tx, user_id);
  const sessions = await tx<{ id: SessionId }[]>`
    update sessions set revoked_at = clock_timestamp()
    where user_id = ${user_id} and revoked_at is null
    returning id`;
  return { username, sessions: sessions.map(({ id }) => id), left, deleted };
}

function isLastAdmin({ type, role, others, other_admins }: Membership): boolean {
  return type !== 'direct' && role === 'admin' && others > 0 && other_admins === 0;
}

async function lockRooms(tx: Tx, user_id: UserId): Promise<Set<RoomId>> {
  const rows = await tx<{ id: RoomId }[]>`
    select id from rooms
    where id in (select room_id from room_members where user_id = ${user_id}) and deleted_at is null
    order by id for update`;
  return new Set(rows.map(({ id }) => id));
}

async function lockUser(tx: Tx, user_id: UserId): Promise<string | null> {
  const [row] = await tx<{ username: string }[]>`
    select username from users where id = ${user_id} and deleted_at is null for update`;
  return row?.username ?? null;
}

/** In a statement of its own, so that it sees what was committed before the locks were had. */
function membershipsOf(tx: Tx, user_id: UserId): Promise<Membership[]> {
  return tx<Membership[]>`
    select r.id as room_id, r.type, mine.role, others.*
    from room_members mine
    join rooms r on r.id = mine.room_id and r.deleted_at is null
    cross join lateral (
      select count(*) as others, count(*) filter (where rm.role = 'admin') as other_admins
      from room_members rm join users u on u.id = rm.user_id and u.deleted_at is null
      where rm.room_id = r.id and rm.user_id <> mine.user_id
    ) others
    where mine.user_id = ${user_id}`;
}

async function deleteRooms(tx: Tx, room_ids: readonly RoomId[]): Promise<void> {
  if (room_ids.length === 0) return;
  await tx`select from room_heads where room_id = any (${[...room_ids]}::uuid[]) order by room_id for update`;
  await tx`update room_heads set closed = true where room_id = any (${[...room_ids]}::uuid[])`;
  await tx`
    update rooms
    set deleted_at = clock_timestamp(), updated_at = clock_timestamp(),
      direct_key = direct_key || ':deleted:' || id
    where id = any (${[...room_ids]}::uuid[])`;
}

async function leaveRooms(tx: Tx, user_id: UserId, room_ids: readonly RoomId[]): Promise<void> {
  await tx`
    with gone as (
      delete from room_members where user_id = ${user_id} and room_id = any (${[...room_ids]}::uuid[])
      returning room_id
    )
    update rooms set member_count = member_count - 1 where id in (select room_id from gone)`;
}

/** The row stays, for what the user wrote. Its email is random, so that nobody can have registered it before. */
async function blankUser(tx: Tx, user_id: UserId): Promise<void> {
  const name = `deleted-${randomBytes(6).toString('hex')}`;
  const email = `${randomBytes(16).toString('hex')}@deleted.invalid`;
  await tx`
    update users
    set username = ${name}, email = ${email}, password_hash = '', avatar_url = null, status = 'offline',
      last_seen_at = null, deleted_at = clock_timestamp(), updated_at = clock_timestamp()
    where id = ${user_id}`;
}
