import type { LinkOptions, LinkSigner } from '../attachments/storage-port.js';
import type { Attachment } from '../protocol/model.js';
import type { AttachmentRecord } from './attachment-ports.js';

/** What belongs to an attachment beside its own object, by key. */
export const thumbnailKey = (storage_key: string): string => `${storage_key}.thumb`;
/** Where a client brings the bytes, before they are checked and moved out of its reach. */
export const incomingKey = (storage_key: string): string => `${storage_key}.incoming`;

const OWN_KEY = /^([0-9a-f]{2}\/[0-9a-f-]{36})(?:\.thumb|\.incoming)?$/;
/** The storage key of the attachment to which an object belongs; null: to none of this server's making. */
export const ownerKey = (key: string): string | null => OWN_KEY.exec(key)?.[1] ?? null;

/** How a file is shown: its type as a browser may see it, and whether it may be shown in place. */
export type Presentation = (
  file_name: string,
  file_type: string,
) => Pick<LinkOptions, 'type' | 'disposition'>;

export interface AttachmentViews {
  /** The attachment as its room's members see it, with fresh links. `origin`: as in {@link absolute}. */
  show(record: AttachmentRecord, origin: string): Attachment;
  /**
   * What is about to be encoded, with links in place of the storage keys of all attachments in it. Looks at messages,
   * lists of them, and what wraps them; copies only what has attachments. `origin`: as in {@link absolute}; nothing for
   * what goes to many.
   */
  linked<T>(data: T, origin?: string): T;
}

/** The members under which frames and answers hold messages. */
const WRAPPERS = ['payload', 'message', 'messages', 'last_message', 'rooms'] as const;

/**
 * A link as one client can follow it: links to the server's own disk are paths where PUBLIC_URL doesn't say where that
 * is. The tokens in them don't depend on it.
 *
 * @param origin where the client has called the server; '' where that isn't known: a path stays a path
 */
export function absolute(url: string, origin: string): string {
  return url.startsWith('/') ? origin + url : url;
}

export function attachmentViews(links: LinkSigner, present: Presentation, lifeMs: number): AttachmentViews {
  const linkOf = (key: string, file_name: string, file_type: string): string =>
    links.link(key, { ...present(file_name, file_type), lifeMs });
  const thumbnailOf = (key: string): string =>
    links.link(thumbnailKey(key), { type: 'image/webp', disposition: 'inline', lifeMs });

  function linkedAttachment(attachment: Attachment, origin: string): Attachment {
    const { storage_url: key, thumbnail_url, file_name, file_type } = attachment;
    return {
      ...attachment,
      storage_url: absolute(linkOf(key, file_name, file_type), origin),
      thumbnail_url: thumbnail_url === null ? null : absolute(thumbnailOf(key), origin),
    };
  }

  function linked<T>(data: T, origin = ''): T {
    if (Array.isArray(data)) {
      const items = data.map((item) => linked(item, origin));
      return (items.some((item, i) => item !== data[i]) ? items : data) as T;
    }
    if (typeof data !== 'object' || data === null) return data;
    if ('attachments' in data && Array.isArray(data.attachments)) {
      if (data.attachments.length === 0) return data;
      return { ...data, attachments: data.attachments.map((each) => linkedAttachment(each, origin)) };
    }
    let copy: T | null = null;
    for (const name of WRAPPERS) {
      const inside = (data as Record<string, unknown>)[name];
      if (typeof inside !== 'object' || inside === null) continue;
      const fresh = linked(inside, origin);
      if (fresh !== inside) copy = { ...(copy ?? data), [name]: fresh };
    }
    return copy ?? data;
  }

  return {
    linked,
    show: (record, origin) => ({
      id: record.id,
      message_id: record.message_id,
      room_id: record.room_id,
      file_name: record.file_name,
      file_type: record.file_type,
      file_size: record.file_size,
      width: record.width,
      height: record.height,
      storage_url: absolute(linkOf(record.storage_key, record.file_name, record.file_type), origin),
      thumbnail_url: record.has_thumbnail ? absolute(thumbnailOf(record.storage_key), origin) : null,
      created_at: record.created_at.toISOString(),
    }),
  };
}
