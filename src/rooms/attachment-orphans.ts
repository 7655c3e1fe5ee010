import type { ObjectStorage } from '../attachments/storage-port.js';
import type { AttachmentStore } from './attachment-ports.js';
import { ownerKey } from './attachment-view.js';

const BATCH = 500; // keys asked of the database at once

/**
 * Storage keys under which something is stored that no row names: what a database restored to an earlier state has
 * forgotten. Each comes once. What was written after `before` is left alone, and what isn't named as this server
 * names its objects.
 *
 * @throws StorageUnavailable, StoreUnavailable
 */
export async function* orphanedKeys(
  storage: Pick<ObjectStorage, 'list'>,
  store: Pick<AttachmentStore, 'unknown'>,
  before: Date,
): AsyncIterable<string> {
  const told = new Set<string>();
  let batch = new Set<string>();

  async function* ask(): AsyncIterable<string> {
    const unknown = await store.unknown([...batch]);
    batch = new Set();
    for (const key of unknown) {
      if (told.has(key)) continue;
      told.add(key);
      yield key;
    }
  }

  for await (const { key, changed_at } of storage.list()) {
    const owner = changed_at < before ? ownerKey(key) : null;
    if (owner !== null) batch.add(owner);
    if (batch.size >= BATCH) yield* ask();
  }
  yield* ask();
}
