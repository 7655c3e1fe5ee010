import type { AttachmentId, MessageId, RoomId, UserId } from '../protocol/ids.js';

export type AttachmentState = 'pending' | 'ready' | 'attached' | 'deleting';

/** An attachment as it is kept (its states: migration 000008). */
export interface AttachmentRecord {
  readonly id: AttachmentId;
  readonly room_id: RoomId;
  readonly user_id: UserId;
  readonly message_id: MessageId | null;
  readonly state: AttachmentState;
  readonly storage_key: string;
  readonly upload_id: string | null;
  readonly file_name: string;
  readonly file_type: string;
  readonly file_size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly has_thumbnail: boolean;
  readonly created_at: Date;
}

export type NewAttachment = Pick<
  AttachmentRecord,
  'id' | 'room_id' | 'user_id' | 'storage_key' | 'file_name' | 'file_type'
> & {
  /** Bytes to reserve of the quota: all of them, or as many as `atLeast` where fewer are left. */
  readonly bytes: number;
  readonly atLeast: number;
  /** Life of what a client may do by itself; null: nothing. */
  readonly directMs: number | null;
};

/** What was found out of a file that is stored. */
export type StoredFile = Pick<
  AttachmentRecord,
  'file_name' | 'file_type' | 'file_size' | 'width' | 'height' | 'has_thumbnail'
>;

/** Something whose bytes are to be removed. */
export interface Removal {
  readonly id: AttachmentId;
  readonly storage_key: string;
}

/** The table of attachments. Each operation is one statement or transaction; all throw `StoreUnavailable`. */
export interface AttachmentStore {
  /** Inserts it as pending. @returns the bytes reserved, or null: the quota (bytes; 0: none) is used up */
  create(attachment: NewAttachment, quota: number): Promise<number | null>;
  /** null: there is none, or it, its message, its room or its uploader has been deleted. */
  byId(id: AttachmentId): Promise<AttachmentRecord | null>;
  /** The same, by where its bytes are. */
  byKey(storage_key: string): Promise<AttachmentRecord | null>;
  /** A pending one comes in parts, of the upload that storage calls so. */
  expectParts(id: AttachmentId, upload_id: string): Promise<void>;
  /** pending → ready. null: it isn't pending any more. */
  makeReady(id: AttachmentId, file: StoredFile): Promise<AttachmentRecord | null>;
  /** pending or ready → deleting. False: it isn't that (any more). */
  giveUp(id: AttachmentId): Promise<boolean>;
  /**
   * The same at its uploader's wish: of one that was ready the audit log tells.
   * @returns false: it isn't pending or ready (any more)
   */
  remove(id: AttachmentId, actor_id: UserId): Promise<boolean>;
  /**
   * Takes off their messages what is attached and due, at most `limit` files: a change of each message, with a rev.
   * @returns how many messages it changed
   */
  detachDue(limit: number): Promise<number>;
  /**
   * What is due and not attached, expired or to be deleted, made `deleting`. Each goes to one asker at a time: to another again only
   * after `leaseMs`, so that what a crash interrupts is done again.
   */
  takeDue(limit: number, leaseMs: number): Promise<Removal[]>;
  /** Those of the storage keys that no row names, in any state. */
  unknown(storage_keys: readonly string[]): Promise<string[]>;
  /** Their bytes are gone: their rows go, or stay until no client may bring bytes any more. */
  removed(ids: readonly AttachmentId[]): Promise<void>;
}
