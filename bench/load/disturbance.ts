/** What a loader does to its own sockets while it sends: `--jitter`, `--storm`. */
import { clockMicros, sleep } from './clock.js';
import { seededRandom } from './random.js';
import type { Session } from './session.js';

/** A cut socket stays away for up to so long: a train in a tunnel, a phone changing networks. */
const MAX_PAUSE_MS = 2_000;

/** How often a random socket is looked for that isn't away already; with more away than that, one cut is left out. */
const PICKS = 16;

interface Disturbances {
  readonly cutsPerSecond: number;
  readonly storm: boolean;
  readonly seed: number;
}

/** Starts cutting sockets at random. @returns how to end it. */
function startJitter(sessions: readonly Session[], cutsPerSecond: number, seed: number): () => void {
  const random = seededRandom(seed);
  const startedAt = clockMicros();
  let cuts = 0;
  const timer = setInterval(
    () => {
      const due = Math.floor(((clockMicros() - startedAt) / 1e6) * cutsPerSecond);
      for (; cuts < due; cuts += 1) cutOne(sessions, random);
    },
    Math.max(5, Math.min(1_000, 1_000 / cutsPerSecond)),
  );
  return () => clearInterval(timer);
}

function cutOne(sessions: readonly Session[], random: () => number): void {
  for (let pick = 0; pick < PICKS; pick += 1) {
    const session = sessions[Math.floor(random() * sessions.length)];
    if (session?.isLive() !== true || session.isSlow) continue;
    session.cut(random() * MAX_PAUSE_MS);
    return;
  }
}

/** Disturbs from now until `untilMicros`; resolves then. */
export async function disturb(
  sessions: readonly Session[],
  plan: Disturbances,
  untilMicros: number,
): Promise<void> {
  const milliseconds = Math.max(0, untilMicros - clockMicros()) / 1_000;
  const stopJitter =
    plan.cutsPerSecond > 0 ? startJitter(sessions, plan.cutsPerSecond, plan.seed) : undefined;
  await sleep(milliseconds / 2);
  // Slow readers come along: a network that breaks takes everybody.
  if (plan.storm) for (const session of sessions) if (session.isLive()) session.cut(0);
  await sleep(Math.max(0, untilMicros - clockMicros()) / 1_000);
  stopJitter?.();
}
