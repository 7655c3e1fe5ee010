import { type AttachmentId, type MessageId, newId, type UserId } from '../protocol/ids.js';
import type { Attachment } from '../protocol/model.js';
import type {
  AttachmentRecord,
  AttachmentStore,
  NewAttachment,
  Removal,
  StoredFile,
} from '../rooms/attachment-ports.js';
import type { Claimable } from '../rooms/ports.js';
import { auditedFiles } from './audit-log.js';
import { type Db, run, type Tx } from './client.js';
import { detachDue } from './detached-files.js';
import { shownAttachment, shownAttachments } from './shown-attachments.js';

/** Attachments (migration 000008 draws their states; attached ones may be due since 000017). */

const UNATTACHED_LIFE_HOURS = 24; // between an upload and the message that takes it

/** The select list of an {@link AttachmentRecord}, for `from attachments a`. */
export function attachmentColumns(db: Db | Tx) {
  return db`
    a.id, a.room_id, a.user_id, a.message_id, a.state, a.storage_key, a.upload_id, a.file_name, a.file_type,
    a.file_size, a.width, a.height, a.has_thumbnail, a.created_at`;
}

/** Under a quota, a user's uploads take turns: each sees what the one before has reserved. */
async function createAttachment(db: Db, attachment: NewAttachment, quota: number): Promise<number | null> {
  if (quota === 0) {
    await run(insertPending(db, attachment, attachment.bytes));
    return attachment.bytes;
  }
  return await run(
    db.begin(async (tx) => {
      await tx`select from users where id = ${attachment.user_id} for no key update`;
      const [row] = await tx<{ used: number }[]>`
        select coalesce(sum(file_size), 0)::bigint as used from attachments
        where user_id = ${attachment.user_id} and state <> 'deleting'`;
      const bytes = Math.min(attachment.bytes, quota - (row?.used ?? 0));
      if (bytes < attachment.atLeast) return null;
      await insertPending(tx, attachment, bytes);
      return bytes;
    }),
  );
}

function insertPending(db: Db | Tx, attachment: NewAttachment, bytes: number) {
  return db`
    insert into attachments (id, room_id, user_id, storage_key, direct_until, file_name, file_type,
      file_size, due_at)
    values (${attachment.id}, ${attachment.room_id}, ${attachment.user_id}, ${attachment.storage_key},
      now() + ${attachment.directMs}::float8 * interval '1 millisecond',
      ${attachment.file_name}, ${attachment.file_type}, ${bytes},
      now() + ${UNATTACHED_LIFE_HOURS}::int * interval '1 hour')`;
}

async function attachmentBy(
  db: Db,
  column: 'id' | 'storage_key',
  value: string,
): Promise<AttachmentRecord | null> {
  const [row] = await run(db<AttachmentRecord[]>`
    select ${attachmentColumns(db)} from attachments a
    where a.${db(column)} = ${value} and a.state <> 'deleting' and (a.state <> 'attached' or a.due_at is null)`);
  return row ?? null;
}

async function expectParts(db: Db, id: AttachmentId, upload_id: string): Promise<void> {
  await run(db`update attachments set upload_id = ${upload_id} where id = ${id} and state = 'pending'`);
}

async function makeReady(db: Db, id: AttachmentId, file: StoredFile): Promise<AttachmentRecord | null> {
  const [row] = await run(db<AttachmentRecord[]>`
    update attachments a
    set state = 'ready', file_name = ${file.file_name}, file_type = ${file.file_type},
      file_size = ${file.file_size}, width = ${file.width}, height = ${file.height},
      has_thumbnail = ${file.has_thumbnail}
    where a.id = ${id} and a.state = 'pending'
    returning ${attachmentColumns(db)}`);
  return row ?? null;
}

async function giveUp(db: Db, id: AttachmentId): Promise<boolean> {
  const given = await run(db`
    update attachments set state = 'deleting', due_at = now()
    where id = ${id} and state in ('pending', 'ready')`);
  return given.count > 0;
}

async function removeUnattached(db: Db, id: AttachmentId, actor_id: UserId): Promise<boolean> {
  const [row] = await run(db<{ count: number }[]>`
    with found as (
      select id, state from attachments where id = ${id} and state in ('pending', 'ready') for update
    ), gone as (
      update attachments a set state = 'deleting', due_at = now()
      from found f where a.id = f.id
      returning a.*, ${actor_id}::uuid as actor_id, case f.state when 'ready' then ${newId()}::uuid end as entry_id
    ), ${auditedFiles(db)}
    select count(*)::int from gone`);
  return (row?.count ?? 0) > 0;
}

/** Rows that another asker has just locked are skipped, those it has taken aren't due. */
async function takeDue(db: Db, limit: number, leaseMs: number): Promise<Removal[]> {
  return await run(db<Removal[]>`
    update attachments a
    set state = 'deleting', due_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
    from (
      select id from attachments where due_at <= now() and state <> 'attached'
      order by due_at limit ${limit} for update skip locked
    ) due
    where a.id = due.id
    returning a.id, a.storage_key`);
}

async function unknown(db: Db, storage_keys: readonly string[]): Promise<string[]> {
  const rows = await run(db<{ key: string }[]>`
    select key from unnest(${[...storage_keys]}::text[]) key
    where not exists (select from attachments a where a.storage_key = key)`);
  return rows.map(({ key }) => key);
}

async function removed(db: Db, ids: readonly AttachmentId[]): Promise<void> {
  if (ids.length === 0) return;
  await run(db`
    with kept as (
      update attachments set due_at = direct_until
      where id = any (${[...ids]}::uuid[]) and direct_until > now()
    )
    delete from attachments
    where id = any (${[...ids]}::uuid[]) and state = 'deleting'
      and (direct_until is null or direct_until <= now())`);
}

/** @throws StoreUnavailable */
export async function claimable(db: Db, ids: readonly AttachmentId[]): Promise<Claimable[]> {
  return await run(db<Claimable[]>`
    select a.id, a.room_id, a.user_id, a.message_id, ${shownAttachment(db)} as attachment
    from attachments a where a.id = any (${[...ids]}::uuid[]) and a.state in ('ready', 'attached')`);
}

/** @throws StoreUnavailable */
export async function attachmentsOf(db: Db, message_id: MessageId): Promise<Attachment[]> {
  const [row] = await run(db<{ shown: Attachment[] | null }[]>`
    select ${shownAttachments(db)} as shown from attachments a
    where a.message_id = ${message_id} and a.state = 'attached'`);
  return row?.shown ?? [];
}

/** The {@link AttachmentStore} over a pool. */
export function attachmentStore(db: Db): AttachmentStore {
  return {
    create: (attachment, quota) => createAttachment(db, attachment, quota),
    byId: (id) => attachmentBy(db, 'id', id),
    byKey: (storage_key) => attachmentBy(db, 'storage_key', storage_key),
    expectParts: (id, upload_id) => expectParts(db, id, upload_id),
    makeReady: (id, file) => makeReady(db, id, file),
    giveUp: (id) => giveUp(db, id),
    remove: (id, actor_id) => removeUnattached(db, id, actor_id),
    detachDue: (limit) => detachDue(db, limit),
    takeDue: (limit, leaseMs) => takeDue(db, limit, leaseMs),
    unknown: (storage_keys) => unknown(db, storage_keys),
    removed: (ids) => removed(db, ids),
  };
}
