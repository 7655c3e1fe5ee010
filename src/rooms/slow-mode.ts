import { type Deferred, deferred } from '../lib/deferred.js';
import { Refusal } from '../protocol/errors.js';
import { inTime, WRITE_DEADLINE_MS } from './in-time.js';
import type { SlotClaim, SlowModeStore } from './moderation-port.js';

const CLAIMS_PER_STATEMENT_MAX = 256; // as many messages as one batch of the log takes
const WAITING_MAX = 10_000; // more than a shard has requests under way, unless a statement hangs

/** What keeps plain members to one message in a room's `slow_mode_s`. */
export interface SlowMode {
  /**
   * Runs `send` in the sender's slot; one that was refused gives the slot back.
   * @throws Refusal `slow_mode` with the time to wait; null (gone meanwhile) is `absent`'s to say
   */
  run<T>(claim: SlotClaim, absent: () => Refusal, send: () => Promise<T>): Promise<T>;
}

interface Waiting extends Deferred<number | null> {
  readonly claim: SlotClaim;
  /** Monotonic ms. */
  readonly askedAt: number;
}

/**
 * Gathers claims while a statement is under way: one statement takes them all, the first of each member. The rest
 * wait for the next. Those whose sender has had his answer meanwhile take no slot.
 */
export function createSlowMode(store: SlowModeStore, report: (error: unknown) => void): SlowMode {
  let waiting: Waiting[] = [];
  let running = false;

  function takeBatch(): Waiting[] {
    const members = new Set<string>();
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const oldest = performance.now() - WRITE_DEADLINE_MS;
    for (const each of waiting) {
      if (each.askedAt < oldest) {
        each.reject(new Refusal('unavailable'));
        continue;
      }
      const member = `${each.claim.room_id}:${each.claim.user_id}`;
      const full = batch.length === CLAIMS_PER_STATEMENT_MAX;
      (full || members.has(member) ? left : batch).push(each);
      members.add(member);
    }
    waiting = left;
    return batch;
  }

  async function runAll(): Promise<void> {
    running = true;
    await Promise.resolve(); // what arrives in this turn goes together
    while (waiting.length > 0) {
      const batch = takeBatch();
      try {
        const waits = await store.claim(batch.map(({ claim }) => claim));
        batch.forEach(({ resolve }, i) => void resolve(waits[i] ?? null));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  function take(claim: SlotClaim): Promise<number | null> {
    if (waiting.length >= WAITING_MAX) return Promise.reject(new Refusal('overloaded'));
    const each = { ...deferred<number | null>(), claim, askedAt: performance.now() };
    waiting.push(each);
    if (!running) void runAll();
    return each.promise;
  }

  return {
    async run(claim, absent, send) {
      const wait = await inTime(take(claim));
      if (wait === null) throw absent();
      if (wait > 0) throw new Refusal('slow_mode', { retryAfterMs: wait });
      try {
        return await send();
      } catch (error) {
        if (wasNotSent(error)) await inTime(store.release(claim)).catch(report);
        throw error;
      }
    },
  };
}

/** `unavailable` leaves open what happened, and an id that exists was sent: their slots stay taken for the id. */
function wasNotSent(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  const { code } = error.problem;
  return code !== 'unavailable' && code !== 'id_conflict';
}
