import { Refusal } from '../protocol/errors.js';
import type { AttachmentId, RoomId } from '../protocol/ids.js';
import type { AttachmentRecord, AttachmentStore } from './attachment-ports.js';
import { inTime } from './in-time.js';
import type { Author, MessageService } from './message-service.js';

/**
 * Deleting a file. One that a message shows leaves it by a change of the message, so it is asked of the shard of its
 * room; the bytes are the collector's in any case.
 */
export interface AttachmentRemoval {
  /** null: there is no such attachment (any more). */
  roomOf(id: AttachmentId): Promise<RoomId | null>;
  /**
   * By whoever may delete the message; what isn't attached, by its uploader. Nobody else hears that there is such a file,
   * but moderators of its end, by the audit log.
   * @throws Refusal, StoreUnavailable
   */
  remove(author: Author, id: AttachmentId): Promise<void>;
}

export function attachmentRemoval(ports: {
  readonly store: Pick<AttachmentStore, 'byId' | 'remove'>;
  readonly messages: Pick<MessageService, 'checkReader' | 'detach'>;
}): AttachmentRemoval {
  const { store, messages } = ports;

  async function checkReader(author: Author, room_id: RoomId): Promise<void> {
    await messages.checkReader(author, room_id).catch((error: unknown) => {
      throw error instanceof Refusal && error.problem.code === 'not_a_member'
        ? new Refusal('not_found')
        : error;
    });
  }

  /** @returns false where a message has taken it meanwhile */
  async function removeFrom(author: Author, { id, room_id, ...record }: AttachmentRecord): Promise<boolean> {
    await checkReader(author, room_id);
    if (record.state === 'attached' && record.message_id !== null) {
      await messages.detach(author, room_id, record.message_id, id);
      return true;
    }
    if (record.user_id !== author.user_id) throw new Refusal('not_found');
    return inTime(store.remove(id, author.user_id));
  }

  return {
    async roomOf(id) {
      return (await inTime(store.byId(id)))?.room_id ?? null;
    },
    async remove(author, id) {
      for (let removed = false; !removed; ) {
        const record = await inTime(store.byId(id));
        if (record === null) throw new Refusal('not_found');
        removed = await removeFrom(author, record);
      }
    },
  };
}
