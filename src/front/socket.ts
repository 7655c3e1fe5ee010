import type { WebSocket } from 'uWebSockets.js';
import type { Caller } from '../ipc/messages.js';
import type { ClientFrame, Encoding } from '../protocol/frames.js';
import type { RoomId } from '../protocol/ids.js';

/**
 * One WebSocket.
 *
 *   anonymous ──authenticate──► authenticated ──► closed
 *       │  └─ bad token ─► 4004     └─ token expired 4004, session ended 4010, …
 *       └─ 5 s, or a command ─► 4003
 */
export interface Socket {
  /** This process' number for it; never reused. */
  readonly conn: number;
  readonly enc: Encoding;
  readonly address: string;
  readonly openedAt: number;
  /** null until `open`. */
  ws: WebSocket<Socket> | null;
  /** A token that didn't pass before the upgrade: closes the socket as soon as it is open. */
  readonly rejected: boolean;
  caller: Caller | null;
  /** Epoch milliseconds; Infinity while anonymous. */
  expiresAtMs: number;
  readonly rooms: Set<RoomId>;
  /** Since when (monotonic ms) it has missed events because it reads too slowly; null: it hasn't. */
  missedSince: number | null;
  nextPingAt: number;
  /** Times (monotonic ms) of bad frames and of refused sends within the windows that close a socket. */
  readonly bad: number[];
  readonly refused: number[];
  /** Reads (join, resume, sync) that are under way. */
  reading: number;
  /** Rooms that those reads are about to join. */
  joining: number;
  /** Sends over the limit that are under way. */
  over: number;
  /** Resumes whose answers are still coming, by number, as how many shards have yet to answer. */
  readonly resuming: Map<number, { readonly ref: ClientFrame['ref']; left: number; failed: boolean }>;
}

/** Notes an event and says whether there have been `limit` of them within `windowMs`. */
export function reaches(times: number[], now: number, limit: number, windowMs: number): boolean {
  times.push(now);
  while (times.length > 0 && (times[0] ?? 0) < now - windowMs) times.shift();
  return times.length >= limit;
}
