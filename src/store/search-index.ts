import { type Db, run } from './client.js';

/**
 * Moves what has been written since into the index of the messages' words itself, from the list that holds it until then.
 * Others write on meanwhile; who asks for it at the same time waits. @throws StoreUnavailable
 */
export async function mergePendingWords(db: Db): Promise<void> {
  await run(db`select gin_clean_pending_list('messages_search_idx')`);
}
