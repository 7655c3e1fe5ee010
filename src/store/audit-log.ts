import { newId, type RoomId } from '../protocol/ids.js';
import type { AuditAction, AuditEntry } from '../protocol/model.js';
import type { NewAuditEntry } from '../rooms/audit-port.js';
import type { Keyset, Placed } from '../rooms/room-store-port.js';
import { type Db, run, type Tx } from './client.js';

/**
 * Writes what was done in a room, in their order. Belongs into the transaction that does it, so that neither is
 * without the other. @throws StoreUnavailable
 */
export async function insertAuditEntries(
  db: Db | Tx,
  room_id: RoomId,
  entries: readonly NewAuditEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  await run(db`
    insert into audit_log (id, room_id, action, actor_id, target_user_id, target_message_id, details, created_at)
    select e.id, ${room_id}, e.action, e.actor_id, e.target_user_id, e.target_message_id, e.details::jsonb,
      clock_timestamp()
    from unnest(
      ${entries.map(() => newId())}::uuid[],
      ${entries.map(({ action }) => action)}::text[],
      ${entries.map(({ actor_id }) => actor_id)}::uuid[],
      ${entries.map(({ target_user_id }) => target_user_id ?? null)}::uuid[],
      ${entries.map(({ target_message_id }) => target_message_id ?? null)}::uuid[],
      ${entries.map(({ details }) => (details === undefined ? null : JSON.stringify(details)))}::text[]
    ) with ordinality as e (id, action, actor_id, target_user_id, target_message_id, details, ord)
    order by e.ord`);
}

/**
 * The part of a change's statement that tells of it: of the rows of `numbered`, with the message's `id`, `room_id`,
 * `user_id` (who changes it) and the new `entry_id`. Deleting one's own message is nobody else's business.
 */
export function audited(tx: Tx, action: 'message_deleted' | 'message_pinned' | 'message_unpinned') {
  return tx`
    audited as (
      insert into audit_log (id, room_id, action, actor_id, target_user_id, target_message_id, created_at)
      select n.entry_id, n.room_id, ${action}::text, n.user_id, m.user_id, n.id, clock_timestamp()
      from numbered n join messages m on m.id = n.id
      where ${action}::text <> 'message_deleted' or n.user_id <> m.user_id
    )`;
}

/**
 * The part of a statement that tells of deleted files: of the rows of `gone`, which are attachments with who deletes each
 * (`actor_id`) and the new `entry_id`. It tells no names: what a user erases isn't kept here.
 */
export function auditedFiles(tx: Db | Tx) {
  return tx`
    audited as (
      insert into audit_log (id, room_id, action, actor_id, target_user_id, target_message_id, details, created_at)
      select g.entry_id, g.room_id, 'attachment_deleted', g.actor_id, g.user_id, g.message_id,
        jsonb_build_object('attachment_id', g.id, 'file_type', g.file_type, 'file_size', g.file_size),
        clock_timestamp()
      from gone g where g.entry_id is not null
    )`;
}

interface AuditRow {
  readonly id: string;
  readonly room_id: string;
  readonly action: AuditAction;
  readonly actor_id: string;
  readonly actor_username: string;
  readonly target_user_id: string | null;
  readonly target_message_id: string | null;
  readonly details: Record<string, unknown> | null;
  readonly created_at: Date;
  readonly at_us: number;
}

/** A room's audit log after a place, the newest first, at most `limit`. @throws StoreUnavailable */
export async function auditPage(
  db: Db | Tx,
  room_id: RoomId,
  after: Keyset | null,
  limit: number,
): Promise<Placed<AuditEntry>[]> {
  const beyond =
    after === null
      ? db``
      : db`and (a.created_at, a.id) < (timestamptz 'epoch' + ${after.at_us} * interval '1 microsecond', ${after.id})`;
  const rows = await run(db<AuditRow[]>`
    select a.id, a.room_id, a.action, a.actor_id, u.username as actor_username, a.target_user_id,
      a.target_message_id, a.details, a.created_at,
      (extract(epoch from a.created_at) * 1000000)::bigint as at_us
    from audit_log a join users u on u.id = a.actor_id
    where a.room_id = ${room_id} ${beyond}
    order by a.created_at desc, a.id desc limit ${limit}`);
  return rows.map(({ at_us, ...row }) => ({
    entry: { ...row, details: row.details ?? {}, created_at: row.created_at.toISOString() },
    place: { at_us, id: row.id },
  }));
}
