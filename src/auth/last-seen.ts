import type { UserId } from '../protocol/ids.js';
import type { PresenceStore } from './presence-port.js';

const WRITE_EVERY_MS = 5_000; // one statement for all who went meanwhile
const WAITING_MAX = 100_000; // while the database is away; beyond it the earliest are given up

export interface LastSeenWriter {
  /** @param atMs epoch milliseconds */
  note(user_id: UserId, atMs: number): void;
  /** Writes what waits, once; nothing is written after. */
  close(): Promise<void>;
}

/** Gathers when users were last seen, and tries again what couldn't be written. */
export function createLastSeen(
  write: PresenceStore['writeLastSeen'],
  report: (error: unknown) => void,
  everyMs = WRITE_EVERY_MS,
): LastSeenWriter {
  let waiting = new Map<UserId, number>();
  let writing: Promise<void> = Promise.resolve();

  function note(user_id: UserId, atMs: number): void {
    const latest = Math.max(atMs, waiting.get(user_id) ?? 0);
    waiting.delete(user_id);
    waiting.set(user_id, latest);
    if (waiting.size <= WAITING_MAX) return;
    for (const earliest of waiting.keys()) {
      waiting.delete(earliest);
      break;
    }
  }

  async function writeNow(): Promise<void> {
    if (waiting.size === 0) return;
    const batch = waiting;
    waiting = new Map();
    try {
      await write(Array.from(batch, ([user_id, atMs]) => ({ user_id, at: new Date(atMs) })));
    } catch (error) {
      report(error);
      const since = waiting;
      waiting = new Map();
      for (const [user_id, atMs] of [...batch, ...since]) note(user_id, atMs);
    }
  }

  const timer = setInterval(() => {
    writing = writing.then(writeNow);
  }, everyMs);

  return {
    note,
    async close() {
      clearInterval(timer);
      await writing;
      await writeNow();
    },
  };
}
