/** Where attachments' bytes live. Local disk and S3 keep the same contract (test/contract/storage-contract.ts). */

/** Storage is away, full, or didn't answer in time: nothing is known of the outcome; every operation may be repeated. */
export class StorageUnavailable extends Error {
  constructor(cause: unknown) {
    super('attachment storage is unavailable', { cause });
    this.name = 'StorageUnavailable';
  }
}

/** There is nothing under the key. */
export class ObjectMissing extends Error {
  constructor() {
    super('no such object');
    this.name = 'ObjectMissing';
  }
}

/** The parts of an upload that have arrived don't come to what was announced; they stay, and others may follow. */
export class PartsMissing extends Error {
  constructor() {
    super('parts are missing');
    this.name = 'PartsMissing';
  }
}

/** Bytes from `start` to `end`, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface StoredKey {
  readonly key: string;
  /** When it was written, or its upload begun. */
  readonly changed_at: Date;
}

/** One request by which a client brings bytes to storage itself. */
export interface DirectPut {
  readonly method: 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface DirectParts {
  readonly upload_id: string;
  /** Consecutive parts: all but the last hold `size` bytes of their own. */
  readonly parts: readonly (DirectPut & { readonly part_number: number; readonly size: number })[];
}

/**
 * Keys are `[a-z0-9/.-]`, made by the server. All operations throw {@link StorageUnavailable} within ten seconds
 * of silence; a stream that was begun fails in the same way.
 */
export interface ObjectStorage {
  /**
   * Stores a stream: under `key` is all of it, or what was there before. Takes from the stream only as fast as it
   * stores. Where it fails or the stream throws, it rejects at once and what was written goes soon; what a
   * crash leaves goes with {@link remove}.
   * @returns the number of bytes
   */
  put(key: string, bytes: AsyncIterable<Uint8Array>, type: string): Promise<number>;
  /** The object's size; null where there is none. */
  head(key: string): Promise<{ readonly size: number } | null>;
  /** The object, or a range that lies within it. @throws ObjectMissing */
  get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Moves an object to where none is: one that is there stays, and the other goes. So repeating a move changes nothing.
   * @throws ObjectMissing where there is neither
   */
  move(from: string, to: string): Promise<void>;
  /** Removes the object and all that unfinished uploads of it have left. Nothing there is fine. */
  remove(key: string): Promise<void>;
  /** Lets a client store exactly `size` bytes under `key`, for so long. */
  presignPut(key: string, size: number, type: string, lifeMs: number): Promise<DirectPut>;
  /** The same in parts, for what is too large for one request. Nothing is under `key` before {@link completeParts}. */
  presignParts(key: string, size: number, type: string, lifeMs: number): Promise<DirectParts>;
  /**
   * Joins the parts, which must come to `size` bytes. Repeating it changes nothing, also where parts have come since.
   * @throws ObjectMissing where none has arrived, PartsMissing where they come to another size: nothing is changed then
   */
  completeParts(key: string, upload_id: string, size: number): Promise<void>;
  /**
   * Everything there is, in no order: objects, and what unfinished uploads have left, under the object's key. A key may
   * come several times; what appears or goes meanwhile may be missing.
   */
  list(): AsyncIterable<StoredKey>;
  /** Resolves where storage takes requests. */
  check(): Promise<void>;
  close(): void;
}

/** How a link shows an object: storage says so in the headers of its answer. */
export interface LinkOptions {
  readonly type: string;
  /** As `content-disposition`. */
  readonly disposition: string;
  readonly lifeMs: number;
  /** For which the link is good; GET unless said. A server's own links are good for both. */
  readonly method?: 'GET' | 'HEAD';
}

/** Makes links to objects, at once and without asking anybody: events are encoded without waiting. */
export interface LinkSigner {
  link(key: string, options: LinkOptions): string;
}
