import type { LinkOptions, LinkSigner } from '../attachments/storage-port.js';
import type { Attachment } from '../protocol/model.js';
import type { AttachmentRecord } from './attachment-ports.js';

/** What belongs to an attachment beside its own object, by key. */
export const thumbnailKey = (storage_key: string): string => `${storage_key}.thumb`;
/** Where a client brings the bytes, before they are checked and moved out of its reach. */
export const incomingKey = (storage_key: string): string => `${storage_key}.incoming`;

/** How a file is shown: its type as a browser may see it, and whether it may be shown in place. */
export type Presentation = (
  file_name: string,
  file_type: string,
) => Pick<LinkOptions, 'type' | 'disposition'>;

export interface AttachmentViews {
  /** The attachment as its room's members see it, with fresh links. */
  show(record: AttachmentRecord): Attachment;
}

export function attachmentViews(links: LinkSigner, present: Presentation, lifeMs: number): AttachmentViews {
  return {
    show: (record) => ({
      id: record.id,
      message_id: record.message_id,
      room_id: record.room_id,
      file_name: record.file_name,
      file_type: record.file_type,
      file_size: record.file_size,
      width: record.width,
      height: record.height,
      storage_url: links.link(record.storage_key, { ...present(record.file_name, record.file_type), lifeMs }),
      thumbnail_url: record.has_thumbnail
        ? links.link(thumbnailKey(record.storage_key), { type: 'image/webp', disposition: 'inline', lifeMs })
        : null,
      created_at: record.created_at.toISOString(),
    }),
  };
}
