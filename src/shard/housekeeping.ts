const EVERY_MS = 3_600_000; // what an hour leaves behind is nobody's burden
const STANDINGS_KEPT_MS = 3_600_000; // every node looks each moment, and back for two minutes when it starts
const MARGIN_MS = 86_400_000; // beyond what anything looks back for; clocks may differ

/**
 * Removes what has served its time, every hour, beginning with one hour from now. An ended session is kept for as
 * long as an access token of it could come: that it ended is what refuses the token.
 *
 * @param ports.purgeSessions removes sessions that ended or expired before a time; 0 when there are none left
 * @param ports.purgeStandings the same of changes of standings
 * @returns what stops it
 */
export function startHousekeeping(ports: {
  readonly purgeSessions: (before: Date) => Promise<number>;
  readonly purgeStandings: (before: Date) => Promise<number>;
  /** Milliseconds. */
  readonly tokenLifeMs: number;
  readonly report: (error: unknown) => void;
}): () => void {
  let stopped = false;
  const sweep = async (): Promise<void> => {
    const before = new Date(Date.now() - ports.tokenLifeMs - MARGIN_MS);
    while (!stopped && (await ports.purgeSessions(before)) > 0);
    const standingsBefore = new Date(Date.now() - STANDINGS_KEPT_MS);
    while (!stopped && (await ports.purgeStandings(standingsBefore)) > 0);
  };
  const timer = setInterval(() => void sweep().catch(ports.report), EVERY_MS);
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}
