/**
 * Open loop: message n of a loader is due at `firstAt + n * interval`, whatever became of the ones before. Latencies count from
 * the due time, so a stall (the server's or the loader's) is seen by every message that it delayed.
 */
import { clockMicros } from './clock.js';

/** When one loader's messages are due, in microseconds of clock.ts. */
export interface Schedule {
  readonly firstAtMicros: number;
  readonly intervalMicros: number;
  readonly total: number;
}

/** A loader's share of the rate: every loader sends in proportion to its senders, and their due times interleave. */
export interface Share {
  readonly rate: number;
  readonly senders: number;
  readonly allSenders: number;
  readonly loader: number;
  readonly seconds: number;
}

/** @returns the schedule of a share that starts at `startMicros`; empty if it has no senders. */
export function shareSchedule(share: Share, startMicros: number): Schedule {
  const rate = (share.rate * share.senders) / share.allSenders;
  if (rate <= 0) return { firstAtMicros: startMicros, intervalMicros: 0, total: 0 };
  return {
    firstAtMicros: startMicros + (share.loader * 1_000_000) / share.rate,
    intervalMicros: 1_000_000 / rate,
    total: Math.floor(rate * share.seconds),
  };
}

/** Due time of message `number`, whole microseconds. */
export function dueAt(schedule: Schedule, number: number): number {
  return Math.round(schedule.firstAtMicros + number * schedule.intervalMicros);
}

/** How many messages are due at `nowMicros`. */
export function dueCount(schedule: Schedule, nowMicros: number): number {
  if (schedule.total === 0 || nowMicros < schedule.firstAtMicros) return 0;
  let count = Math.floor((nowMicros - schedule.firstAtMicros) / schedule.intervalMicros) + 1;
  while (count > 0 && dueAt(schedule, count - 1) > nowMicros) count -= 1;
  return Math.min(count, schedule.total);
}

/** At most so many sends in one turn: reads must not starve while the loader catches up. */
const MAX_SENDS_PER_TURN = 256;

/** Timers are no finer than this. */
const TIMER_MS = 1;

/**
 * Runs a schedule. `send` is called for each number in order, at or after its due time.
 * @param giveUpAtMicros sends that the loader couldn't begin by then are left out.
 * @returns how many were sent.
 */
export function runSchedule(
  schedule: Schedule,
  giveUpAtMicros: number,
  send: (number: number, dueMicros: number, nowMicros: number) => void,
): Promise<number> {
  return new Promise((resolve) => {
    let sent = 0;
    const turn = (): void => {
      const now = clockMicros();
      const due = dueCount(schedule, now);
      const stop = Math.min(due, sent + MAX_SENDS_PER_TURN);
      while (sent < stop) {
        send(sent, dueAt(schedule, sent), now);
        sent += 1;
      }
      if (sent === schedule.total || now > giveUpAtMicros) resolve(sent);
      else if (sent < due) setImmediate(turn);
      else setTimeout(turn, Math.max(TIMER_MS, Math.floor((dueAt(schedule, sent) - clockMicros()) / 1_000)));
    };
    turn();
  });
}
