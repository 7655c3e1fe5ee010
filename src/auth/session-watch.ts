import type { EndedSession } from '../ipc/messages.js';

const POLL_MS = 400; // an end on any node is known on all within a second (I9), whatever the bus does
const COMMIT_LAG_MS = 30_000; // an end is read by its time, and may commit this long after it

export interface SessionWatchOptions {
  /** Sessions that ended since (epoch ms by the database's clock), and that clock. Throws when the database is away. */
  readonly endedSince: (sinceMs: number) => Promise<{ ended: readonly EndedSession[]; nowMs: number }>;
  /** Gets every end once, and an empty list where there was none: the silence means that nobody looked. */
  readonly found: (ended: readonly EndedSession[]) => void;
  /** How far back the first look goes: the life of an access token. */
  readonly lookBackMs: number;
  readonly nowMs: number;
  readonly report: (error: unknown) => void;
}

/** Watches the database for sessions that end, on this node or another. Returns what stops it. */
export function watchSessions(options: SessionWatchOptions): () => void {
  let sinceMs = options.nowMs - options.lookBackMs - COMMIT_LAG_MS;
  let known = new Set<string>();
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;

  async function look(): Promise<void> {
    try {
      const { ended, nowMs } = await options.endedSince(sinceMs);
      if (stopped) return;
      options.found(ended.filter(({ sid }) => !known.has(sid)));
      known = new Set(ended.map(({ sid }) => sid));
      sinceMs = nowMs - COMMIT_LAG_MS;
    } catch (error) {
      options.report(error);
    }
    if (!stopped) timer = setTimeout(look, POLL_MS);
  }
  void look();
  return () => {
    stopped = true;
    if (timer !== null) clearTimeout(timer);
  };
}
