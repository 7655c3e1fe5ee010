/**
 * The one clock of the load bench: CLOCK_MONOTONIC in whole microseconds. It is shared by all processes of a machine and never
 * set back, so an intended send time taken in one loader process can be compared with an arrival seen in another. (Epoch time
 * by `performance.timeOrigin` differs between processes by what NTP did between their starts.)
 */
export function clockMicros(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1_000);
}

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
