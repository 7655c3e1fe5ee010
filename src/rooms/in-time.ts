import { withDeadline } from '../lib/deadline.js';
import { Refusal } from '../protocol/errors.js';

export const WRITE_DEADLINE_MS = 2_000; // DESIGN §2: `unavailable` within 2 s

/** Waits for work for as long as a client may have to: then `unavailable`, though the work goes on. */
export function inTime<T>(work: Promise<T>): Promise<T> {
  return withDeadline(work, WRITE_DEADLINE_MS, () => new Refusal('unavailable'));
}
