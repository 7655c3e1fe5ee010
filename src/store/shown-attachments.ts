import type { Db, Tx } from './client.js';

/**
 * One column for `from attachments a`: what messages show, in order, null for none. The links are storage keys, and
 * become links when the message is encoded.
 */
export function shownAttachments(db: Db | Tx) {
  return db`json_agg(${shownAttachment(db)} order by a.position)`;
}

/** One of them. */
export function shownAttachment(db: Db | Tx) {
  return db`json_build_object(
    'id', a.id, 'message_id', a.message_id, 'room_id', a.room_id, 'file_name', a.file_name,
    'file_type', a.file_type, 'file_size', a.file_size, 'width', a.width, 'height', a.height,
    'storage_url', a.storage_key, 'thumbnail_url', case when a.has_thumbnail then a.storage_key end,
    'created_at', to_char(a.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;
}
