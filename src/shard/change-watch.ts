import type { AddressBlock, EndedSession, StandingChange } from '../ipc/messages.js';
import { repeat } from '../lib/repeat.js';

const POLL_MS = 400; // what any node commits is known on all within a second (I9), whatever the bus does

/** Where the watch stands: what was committed before is known. Opaque, the store's own. */
export type ChangeMark = string;

/** What was committed since a mark, and perhaps some of what was before; each with an id that is its own. */
export interface Changes {
  readonly ended: readonly EndedSession[];
  readonly standings: readonly (StandingChange & { readonly id: string })[];
  /** All blocks; null: they are those of the mark. */
  readonly blocks: readonly AddressBlock[] | null;
  readonly mark: ChangeMark;
}

export interface ChangeWatchOptions {
  /** null: the first look. @throws StoreUnavailable */
  readonly changesSince: (mark: ChangeMark | null) => Promise<Changes>;
  /** Gets every end once, and an empty list where there was none: the silence means that nobody looked. */
  readonly ended: (ended: readonly EndedSession[]) => void;
  /** Gets every change of a standing once. */
  readonly standings: (changes: readonly StandingChange[]) => void;
  /** Gets all blocks whenever they have changed, and at first; before `ended`, so that whoever waits for that has both. */
  readonly blocked: (blocks: readonly AddressBlock[]) => void;
  readonly report: (error: unknown) => void;
}

/**
 * Watches the database for sessions that end, standings that change and addresses that are blocked, on this node or
 * another: the signals of the bus are faster where there are any, this is certain. Returns what stops it.
 */
export function watchChanges(options: ChangeWatchOptions): () => void {
  let mark: ChangeMark | null = null;
  let known = new Set<string>();

  function take(changes: Changes): void {
    if (changes.blocks !== null) options.blocked(changes.blocks);
    options.ended(changes.ended.filter(({ sid }) => !known.has(sid)));
    const fresh = changes.standings.filter(({ id }) => !known.has(id));
    if (fresh.length > 0) options.standings(fresh.map(({ id: _, ...change }) => change));
    known = new Set([...changes.ended.map(({ sid }) => sid), ...changes.standings.map(({ id }) => id)]);
    mark = changes.mark;
  }

  async function look(stopped: () => boolean): Promise<void> {
    const changes = await options.changesSince(mark);
    if (!stopped()) take(changes);
  }
  return repeat(POLL_MS, look, options.report, 0);
}
