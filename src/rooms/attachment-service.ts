import { randomUUID } from 'node:crypto';
import type { DirectParts, DirectPut } from '../attachments/storage-port.js';
import { Refusal } from '../protocol/errors.js';
import { type AttachmentId, newId, type RoomId, type UserId } from '../protocol/ids.js';
import type { PresignBody } from '../protocol/requests.js';
import type { AttachmentRecord, AttachmentStore, StoredFile } from './attachment-ports.js';
import { inTime } from './in-time.js';
import type { Standing, StandingReader } from './ports.js';
import { canRead, canSend, enforce } from './rules.js';

/** An upload that may begin. */
export interface OpenedUpload {
  readonly id: AttachmentId;
  readonly storage_key: string;
  /** As many bytes may come; `refusal` is for one more. */
  readonly maxBytes: number;
  readonly refusal: Refusal;
}

export interface DirectGrant extends OpenedUpload {
  readonly record: AttachmentRecord;
  readonly direct: DirectPut | DirectParts;
  readonly expires_at: Date;
}

/** Who may do what with attachments, and their way through their states. All throw Refusals and `StoreUnavailable`. */
export interface AttachmentService {
  /** An upload through the server, of `length` bytes at most where that is known. */
  open(user_id: UserId, room_id: RoomId, length: number | null): Promise<OpenedUpload>;
  /** An upload straight to storage; `grant` makes the requests for it. */
  openDirect(
    user_id: UserId,
    room_id: RoomId,
    file: PresignBody,
    grant: (storage_key: string, lifeMs: number) => Promise<DirectPut | DirectParts>,
  ): Promise<DirectGrant>;
  /**
   * A client brings bytes to the server's own disk by itself, which it may until they are checked.
   * @throws Refusal `conflict` from then on, `not_found` once there is no such attachment any more
   */
  checkAwaited(storage_key: string): Promise<void>;
  /** The bytes are in storage, and checked. */
  finish(id: AttachmentId, file: StoredFile): Promise<AttachmentRecord>;
  giveUp(id: AttachmentId): Promise<void>;
  /** One's own upload, to be completed. */
  ownUpload(user_id: UserId, id: AttachmentId): Promise<AttachmentRecord>;
  /** What a member may see: one's own, and what is attached to messages. */
  see(user_id: UserId, id: AttachmentId): Promise<AttachmentRecord>;
}

const DIRECT_LIFE_MS = 3_600_000; // to bring 100 MiB in that time takes 30 KB/s
const DIRECT_GRACE_MS = 3_600_000; // what was begun before a link's end may still come to its own
const UNNAMED = { file_name: 'upload', file_type: 'application/octet-stream' }; // until the bytes have come

export function attachmentService(ports: {
  readonly store: AttachmentStore;
  readonly standings: StandingReader;
  readonly maxUploadBytes: number;
  /** Bytes a user; 0: none. */
  readonly quotaBytes: number;
}): AttachmentService {
  const { store, maxUploadBytes, quotaBytes } = ports;

  async function standingOf(room_id: RoomId, user_id: UserId): Promise<Standing> {
    const [standing] = await inTime(ports.standings.standings([{ room_id, user_id }]));
    if (standing == null) throw new Refusal('not_found');
    return standing;
  }

  async function checkUploader(user_id: UserId, room_id: RoomId): Promise<void> {
    enforce(canSend(await standingOf(room_id, user_id), Date.now()));
  }

  async function byId(id: AttachmentId): Promise<AttachmentRecord> {
    const record = await inTime(store.byId(id));
    if (record === null) throw new Refusal('not_found');
    return record;
  }

  return {
    async open(user_id, room_id, length) {
      await checkUploader(user_id, room_id);
      const [id, storage_key] = [newId<AttachmentId>(), newKey()];
      const bytes = Math.min(maxUploadBytes, length ?? maxUploadBytes);
      const fresh = { id, room_id, user_id, storage_key, ...UNNAMED };
      const reserved = await inTime(
        store.create({ ...fresh, bytes, atLeast: length === null ? 1 : bytes, directMs: null }, quotaBytes),
      );
      if (reserved === null) throw new Refusal('quota_exceeded');
      const code = reserved < bytes ? 'quota_exceeded' : 'payload_too_large';
      return { id, storage_key, maxBytes: reserved, refusal: new Refusal(code) };
    },

    async openDirect(user_id, room_id, file, grant) {
      await checkUploader(user_id, room_id);
      const { file_size: bytes, file_name, file_type } = file;
      if (bytes > maxUploadBytes) throw new Refusal('payload_too_large', { field: 'file_size' });
      const [id, storage_key] = [newId<AttachmentId>(), newKey()];
      const fresh = { id, room_id, user_id, storage_key, file_name, file_type };
      const reservation = { bytes, atLeast: bytes, directMs: DIRECT_LIFE_MS + DIRECT_GRACE_MS };
      const reserved = await inTime(store.create({ ...fresh, ...reservation }, quotaBytes));
      if (reserved === null) throw new Refusal('quota_exceeded');
      // Only now is anything begun in storage: whatever happens, its row tells what is to be removed.
      const direct = await grant(storage_key, DIRECT_LIFE_MS).catch(async (error: unknown) => {
        await inTime(store.giveUp(id)).catch(() => undefined); // else it expires
        throw error;
      });
      if ('upload_id' in direct) await inTime(store.expectParts(id, direct.upload_id));
      return {
        id,
        storage_key,
        maxBytes: reserved,
        refusal: new Refusal('payload_too_large'),
        record: await byId(id),
        direct,
        expires_at: new Date(Date.now() + DIRECT_LIFE_MS),
      };
    },

    async checkAwaited(storage_key) {
      const record = await inTime(store.byKey(storage_key));
      if (record === null) throw new Refusal('not_found');
      if (record.state !== 'pending') throw new Refusal('conflict', { sentence: 'The upload is complete.' });
    },

    async finish(id, file) {
      const made = await inTime(store.makeReady(id, file));
      if (made !== null) return made;
      const record = await byId(id); // finished twice at once, or expired meanwhile
      if (record.state === 'pending') throw new Refusal('not_found');
      return record;
    },

    async giveUp(id) {
      await inTime(store.giveUp(id));
    },

    async ownUpload(user_id, id) {
      const record = await byId(id);
      if (record.user_id !== user_id) throw new Refusal('not_found');
      await checkUploader(user_id, record.room_id);
      return record;
    },

    async see(user_id, id) {
      const record = await byId(id);
      const standing = await standingOf(record.room_id, user_id);
      const visible = record.state === 'attached' || (record.user_id === user_id && record.state === 'ready');
      if (!visible || canRead(standing) !== null) throw new Refusal('not_found');
      return record;
    },
  };
}

/** Made up, in 256 folders, so that none on a disk grows too long. */
function newKey(): string {
  const id = randomUUID();
  return `${id.slice(-2)}/${id}`;
}
