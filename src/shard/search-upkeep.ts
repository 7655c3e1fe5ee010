import type { RoomId } from '../protocol/ids.js';
import type { RoomBehind } from '../store/search-index.js';

const BATCH = 250; // messages whose words are written in one statement: some 8 ms of PostgreSQL's time
const ROOMS_MAX = 200; // in one statement
const WITHIN_MS = 500; // after the first change, however few they are
/** Every search reads all that isn't merged (some 500 bytes a message), and a merge of fewer costs more a message. */
const MERGE_AT = 2_000;

/**
 * The share of the time that is given to words: messages go first. It grows with what waits, up to all of it, so that a
 * flood puts the words off and a lasting one doesn't put them off for ever.
 */
const SHARE_MIN = 0.15;
const ALL_AT = 200_000; // messages

const ROOMS_KNOWN_MAX = 100_000; // some 10 MB; those beyond are found by a look
const LOOK_EVERY_MS = 300_000; // for rooms that nobody tells of
const LOOK_ROOMS = 10_000; // in one look
const LOOK_ON_MS = 10_000; // where there are more
const AGAIN_MS = 1_000; // after a failure

export interface SearchUpkeep {
  /** A message of the room was written or changed. */
  changed(room_id: RoomId): void;
  /** Messages that wait for their words, as far as is known. */
  waiting(): number;
  close(): void;
}

/**
 * Writes the words of messages, and merges them into the index of words, beside the group commit: all whose messages
 * are in it would wait (docs/decisions/0016).
 *
 *   idle ──a change──► due in WITHIN_MS ──► writing, perhaps merging ──► a pause ──► due, or idle
 *
 * @param ports.writeWords writes words of rooms; tells what is left of each that it could have
 * @param ports.mergeWords merges what is written
 * @param ports.roomsBehind finds rooms that wait, of which nobody told: at once and then now and again. Not every shard has it
 * @param ports.report hears of failures: what was under way then is tried again with the next
 */
export function searchUpkeep(ports: {
  readonly writeWords: (rooms: readonly RoomId[], limit: number) => Promise<RoomBehind[]>;
  readonly mergeWords: () => Promise<void>;
  readonly roomsBehind: ((limit: number) => Promise<RoomBehind[]>) | null;
  readonly report: (error: unknown) => void;
}): SearchUpkeep {
  const rooms = new Map<RoomId, number>(); // with messages that wait
  let waiting = 0;
  let unmerged = 0;
  let lookAt = ports.roomsBehind === null ? Number.POSITIVE_INFINITY : 0;
  let timer: NodeJS.Timeout | null = null;
  let dueAt = Number.POSITIVE_INFINITY;
  let restUntil = 0;
  let running = false;
  let closed = false;

  function add(room_id: RoomId, count: number): void {
    if (rooms.size >= ROOMS_KNOWN_MAX && !rooms.has(room_id)) return;
    rooms.set(room_id, (rooms.get(room_id) ?? 0) + count);
    waiting += count;
  }

  /** The rooms that wait longest, with no more messages than one statement is to take. */
  function take(): RoomBehind[] {
    const taken: RoomBehind[] = [];
    let messages = 0;
    for (const [room_id, behind] of rooms) {
      if (taken.length === ROOMS_MAX || (messages > 0 && messages + behind > BATCH)) break;
      messages += behind;
      taken.push({ room_id, behind });
    }
    for (const { room_id, behind } of taken) {
      rooms.delete(room_id);
      waiting -= behind;
    }
    return taken;
  }

  async function write(): Promise<void> {
    const taken = take();
    try {
      const written = await ports.writeWords(
        taken.map(({ room_id }) => room_id),
        BATCH,
      );
      const left = new Map(written.map(({ room_id, behind }) => [room_id, behind]));
      for (const { room_id, behind } of taken) {
        const count = left.get(room_id) ?? behind;
        if (count > 0) add(room_id, count);
        unmerged += Math.max(behind - count, 0);
      }
    } catch (error) {
      for (const { room_id, behind } of taken) add(room_id, behind);
      throw error;
    }
  }

  async function look(): Promise<void> {
    const found = (await ports.roomsBehind?.(LOOK_ROOMS)) ?? [];
    for (const { room_id, behind } of found) if (!rooms.has(room_id)) add(room_id, behind);
    lookAt = Date.now() + (found.length === LOOK_ROOMS ? LOOK_ON_MS : LOOK_EVERY_MS);
  }

  async function turn(): Promise<void> {
    running = true;
    dueAt = Number.POSITIVE_INFINITY;
    const begun = performance.now();
    let failed = false;
    try {
      if (Date.now() >= lookAt) await look();
      if (rooms.size > 0) await write();
      if (unmerged >= MERGE_AT || (unmerged > 0 && rooms.size === 0)) {
        await ports.mergeWords();
        unmerged = 0;
      }
    } catch (error) {
      ports.report(error);
      failed = true;
    }
    running = false;
    const share = Math.min(Math.max(SHARE_MIN, waiting / ALL_AT), 1);
    const pause = failed ? AGAIN_MS : (performance.now() - begun) * (1 / share - 1);
    restUntil = Date.now() + pause;
    if (waiting >= BATCH) due(0);
    else if (rooms.size > 0) due(WITHIN_MS);
    else due(lookAt - Date.now());
  }

  /** Not later than in so many milliseconds, or after the pause that is due to others. */
  function due(ms: number): void {
    const now = Date.now();
    const at = Math.max(now + ms, restUntil);
    if (closed || running || at >= dueAt) return;
    if (timer !== null) clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(turn, at - now);
  }

  due(lookAt);
  return {
    changed(room_id) {
      add(room_id, 1);
      due(WITHIN_MS);
    },
    waiting: () => waiting,
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
