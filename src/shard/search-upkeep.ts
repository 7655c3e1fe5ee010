/**
 * Changes after which the words of messages are merged into their index. Every search reads all that waits (some 500
 * bytes a message), and a merge of fewer costs more a message.
 */
const MERGE_AT = 1_000;
const MERGE_WITHIN_MS = 2_000; // after the first, however few they are: other shards have as many waiting

export interface SearchUpkeep {
  /** So many messages were written or changed. */
  changed(count: number): void;
  close(): void;
}

/**
 * Keeps the merging of words into the search index out of the group commit: PostgreSQL lets whoever fills the index's
 * list merge it, within his transaction, and all whose messages are in it would wait (docs/decisions/0013).
 *
 *   idle ──a change──► due in MERGE_WITHIN_MS, or at MERGE_AT changes ──► merging ──► idle, or due at once
 *
 * @param ports.merge merges what waits
 * @param ports.report hears of its failures: what waits then goes with the next merge
 */
export function searchUpkeep(ports: {
  readonly merge: () => Promise<void>;
  readonly report: (error: unknown) => void;
}): SearchUpkeep {
  let waiting = 0;
  let merging = false;
  let closed = false;
  let timer: NodeJS.Timeout | null = null;

  async function merge(): Promise<void> {
    if (merging || closed) return;
    merging = true;
    if (timer !== null) clearTimeout(timer);
    timer = null;
    waiting = 0;
    try {
      await ports.merge();
    } catch (error) {
      ports.report(error);
    }
    merging = false;
    schedule();
  }

  function schedule(): void {
    if (merging || closed || waiting === 0) return;
    if (waiting >= MERGE_AT) void merge();
    else timer ??= setTimeout(merge, MERGE_WITHIN_MS);
  }

  return {
    changed(count) {
      waiting += count;
      schedule();
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
