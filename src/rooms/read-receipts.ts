import { LARGE_ROOM_MEMBERS } from '../protocol/signals.js';
import type { Announcer, MovedMark } from './ports.js';

const ONE_EVERY_MS = 1_000; // receipts of a user and room
const SWEEP_EVERY_MS = 250;
const KEPT_MAX = 50_000; // beyond it receipts go at once, not gathered

export interface ReadReceipts {
  /** Watermarks have moved, in the order of their moving. */
  moved(marks: readonly MovedMark[]): void;
  /** Sends what is due; called all SWEEP_EVERY_MS. */
  sweep(): void;
  close(): void;
}

interface Entry {
  /** The furthest that wasn't sent yet; null: all was. */
  waiting: MovedMark | null;
  sentAt: number;
}

/**
 * Tells of moved watermarks: the first at once, then for each user and room one a second, so that the last
 * always comes. Numbers never go back. In a large room it is the user's own devices alone that hear it.
 */
export function createReadReceipts(
  announcer: Pick<Announcer, 'toRoom' | 'toUser'>,
  now: () => number = () => performance.now(),
): ReadReceipts {
  const entries = new Map<string, Entry>();

  function send({ room_id, user_id, seq_no, member_count }: MovedMark): void {
    const payload = { user_id, seq_no };
    if (member_count > LARGE_ROOM_MEMBERS) announcer.toUser(user_id, room_id, 'read_receipt', payload);
    else announcer.toRoom(room_id, 'read_receipt', payload);
  }

  function sweep(): void {
    const time = now();
    for (const [key, entry] of entries) {
      if (time - entry.sentAt < ONE_EVERY_MS) continue;
      if (entry.waiting === null) {
        entries.delete(key);
        continue;
      }
      send(entry.waiting);
      entry.waiting = null;
      entry.sentAt = time;
    }
  }

  const timer = setInterval(sweep, SWEEP_EVERY_MS);
  return {
    moved(marks) {
      for (const mark of marks) {
        const key = `${mark.room_id}:${mark.user_id}`;
        const entry = entries.get(key);
        if (entry !== undefined) entry.waiting = mark;
        else {
          send(mark);
          if (entries.size < KEPT_MAX) entries.set(key, { waiting: null, sentAt: now() });
        }
      }
    },
    sweep,
    close: () => clearInterval(timer),
  };
}
