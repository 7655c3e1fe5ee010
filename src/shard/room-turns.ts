import type { RoomId } from '../protocol/ids.js';

/**
 * The turns of one socket in a room: what it asks about a room takes effect in the order in which it asked, though
 * one request reads the log and the next doesn't. As many are kept as requests are under way.
 */
export interface RoomTurns {
  /** Runs `work` at once, or after all that the socket asked about these rooms before. Gives what it comes to. */
  run(conn: number, rooms: readonly RoomId[], work: () => Promise<void> | void): Promise<void>;
  readonly size: number;
}

export function createRoomTurns(): RoomTurns {
  /** The last turn of a socket in a room; it never rejects. */
  const last = new Map<string, Promise<void>>();

  return {
    run(conn, rooms, work) {
      const keys = rooms.map((room_id) => `${conn}:${room_id}`);
      const before = keys.flatMap((key) => last.get(key) ?? []);
      const turn = before.length === 0 ? started(work) : Promise.all(before).then(work);
      const ended = turn.then(ignore, ignore);
      for (const key of keys) last.set(key, ended);
      void ended.then(() => {
        for (const key of keys) if (last.get(key) === ended) last.delete(key);
      });
      return turn;
    },
    get size() {
      return last.size;
    },
  };
}

/** Runs in this turn of the event loop: what is read for a join must not begin later than the join. */
async function started(work: () => Promise<void> | void): Promise<void> {
  await work();
}

function ignore(): void {}
