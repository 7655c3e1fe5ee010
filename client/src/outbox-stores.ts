import type { MessageBody } from './types.js';

/** A message that is not known to be committed. */
export interface OutboxEntry {
  readonly id: string;
  readonly room_id: string;
  readonly body: MessageBody;
  /** Entries of a room go out in this order. */
  readonly position: number;
  readonly created_at: string;
  /** Why it won't be sent again by itself. */
  readonly failed?: { readonly code: string; readonly error: string };
}

/**
 * Where an outbox lives. `put` of a known id replaces it; `remove` of an unknown one does nothing. What a resolved `put`
 * was given, `load` gives after a reload, in any order. One store belongs to one account: name it after the user.
 */
export interface OutboxStore {
  load(): Promise<readonly OutboxEntry[]>;
  put(entry: OutboxEntry): Promise<void>;
  remove(id: string): Promise<void>;
}

/** Lives as long as the object does. */
export class MemoryStore implements OutboxStore {
  readonly #entries = new Map<string, OutboxEntry>();

  async load(): Promise<readonly OutboxEntry[]> {
    return [...this.#entries.values()];
  }
  async put(entry: OutboxEntry): Promise<void> {
    this.#entries.set(entry.id, entry);
  }
  async remove(id: string): Promise<void> {
    this.#entries.delete(id);
  }
}

const TABLE = 'outbox';

/** Survives a reload of the page. */
export class IndexedDBStore implements OutboxStore {
  #database: Promise<IDBDatabase> | null = null;

  /** @param name of the database: one for each account */
  constructor(readonly name: string) {}

  load(): Promise<readonly OutboxEntry[]> {
    return this.#run<readonly OutboxEntry[]>('readonly', (table) => table.getAll());
  }
  async put(entry: OutboxEntry): Promise<void> {
    await this.#run('readwrite', (table) => table.put(entry));
  }
  async remove(id: string): Promise<void> {
    await this.#run('readwrite', (table) => table.delete(id));
  }

  /** Resolves when the transaction is complete, not merely the request. */
  async #run<T>(mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest): Promise<T> {
    this.#database ??= this.#open();
    const database = await this.#database;
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(TABLE, mode);
      const request = ask(transaction.objectStore(TABLE));
      transaction.oncomplete = () => resolve(request.result as T);
      transaction.onabort = () => reject(transaction.error);
    });
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: 'id' });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => {
        this.#database = null; // the next use tries again
        reject(request.error);
      };
    });
  }
}
