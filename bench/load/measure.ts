/** The measuring part of a run: scene, loaders, traffic, and what server and machine use meanwhile. */
import { clockMicros, sleep } from './clock.js';
import { loaderPlans } from './loader-plans.js';
import { type Loaders, startLoaders } from './loaders.js';
import { type MemorySample, marginalBytes } from './memory-slope.js';
import type { LoaderReport } from './messages.js';
import type { LoadOptions } from './options.js';
import { planLoad } from './plan.js';
import { readServerRss } from './proc-files.js';
import { type UsageReport, type UsageWatch, watchUsage } from './proc-stats.js';
import { type Milestones, type ProgressBar, stageAt } from './progress.js';
import { createRestClient } from './rest-client.js';
import type { ServerMemory } from './result.js';
import type { ServerProcess } from './server-process.js';
import { readHeads, setScene } from './setup.js';

/** What a run watches beside the traffic. */
export interface Subject {
  /** One for each `--url`, or that of the server which the bench started. */
  readonly origins: readonly string[];
  /** Where the sockets go, for each of the origins. */
  readonly socketUrls: readonly string[];
  readonly server: ServerProcess | undefined;
  readonly serverPid: number | undefined;
  readonly postgresPid: number | undefined;
}

/** Tells what goes on; a line with a bar passes, and the next one may take its place. */
export type Say = (text: string, bar?: ProgressBar) => void;

export interface Measured {
  readonly reports: readonly LoaderReport[];
  readonly usage: UsageReport;
  readonly memory: ServerMemory | undefined;
}

/** From `start` to the first due message: time for the message to reach all loaders. */
const LEAD_MICROS = 200_000;

const PROGRESS_MS = 1_000;

const MEMORY_SAMPLE_MS = 500;

/** Tells the stage and the rates of the last second, a line each second. @returns how to end it. */
function tellProgress(options: LoadOptions, reached: Milestones, loaders: Loaders, say: Say): () => void {
  let last = loaders.progress();
  const timer = setInterval(() => {
    const now = loaders.progress();
    const rate = (pick: (progress: typeof now) => number) =>
      Math.round(((pick(now) - pick(last)) * 1_000) / PROGRESS_MS);
    const ackedPerSecond = rate(({ acked }) => acked);
    say(
      `  ${now.joined} sockets, sent ${rate(({ sent }) => sent)}/s, acknowledged ${ackedPerSecond}/s, ` +
        `delivered ${rate(({ deliveries }) => deliveries)}/s, ${now.sent - now.acked} unanswered`,
      { ...stageAt(options, reached, now.joined, clockMicros()), ackedPerSecond },
    );
    last = now;
  }, PROGRESS_MS);
  return () => clearInterval(timer);
}

/** Sends the schedule, watching what the server uses in the measured window. */
async function drive(
  options: LoadOptions,
  loaders: Loaders,
  subject: Subject,
  startMicros: number,
): Promise<UsageReport> {
  const sent = loaders.send(startMicros);
  const untilMicros = (micros: number) => sleep(Math.max(0, (micros - clockMicros()) / 1_000));
  const fromMicros = startMicros + options.warmupSeconds * 1_000_000;
  let watch: UsageWatch | undefined;
  const measured = untilMicros(fromMicros).then(async () => {
    watch = watchUsage(subject.serverPid, subject.postgresPid);
    await untilMicros(fromMicros + options.seconds * 1_000_000);
    return watch.stop();
  });
  // A loader that dies ends the run at once.
  const [usage] = await Promise.all([measured, sent]);
  return usage;
}

/** `work`, unless the server ends by itself first: the rest of the run would only wait for it. */
async function whileServerRuns<T>(server: ServerProcess | undefined, work: Promise<T>): Promise<T> {
  if (server === undefined) return await work;
  const ended = server.ended.then((how): never => {
    throw new Error(`the server ended under load with ${how}`);
  });
  return await Promise.race([work, ended]);
}

/** Resident memory of the server while the sockets are opened. */
function sampleMemory(
  pid: number | undefined,
  loaders: Loaders,
): { samples: MemorySample[]; end: () => void } {
  const samples: MemorySample[] = [];
  const timer = setInterval(() => {
    const bytes = pid === undefined ? undefined : readServerRss(pid);
    if (bytes !== undefined) samples.push({ sockets: loaders.progress().joined, bytes });
  }, MEMORY_SAMPLE_MS);
  return { samples, end: () => clearInterval(timer) };
}

/** @throws Error when something is refused in the set-up, or a loader or the server dies. */
export async function measure(options: LoadOptions, subject: Subject, say: Say): Promise<Measured> {
  const rest = createRestClient(subject.origins[0] ?? '');
  const plan = planLoad(options);
  const setUpAt = clockMicros();
  const since = (micros: number) => `${((clockMicros() - micros) / 1e6).toFixed(1)} s`;
  const scene = await setScene(rest, plan);
  say(`set up ${scene.accounts.size} users, ${scene.rooms.length} rooms in ${since(setUpAt)}`);
  const rss = () => (subject.serverPid === undefined ? undefined : readServerRss(subject.serverPid));
  const beforeBytes = rss();
  const connectAt = clockMicros();
  const loaders = startLoaders(loaderPlans(options, plan, scene, subject.socketUrls));
  const { samples, end } = sampleMemory(subject.serverPid, loaders);
  const reached: Milestones = { startMicros: undefined, sentMicros: undefined };
  const stopProgress = tellProgress(options, reached, loaders, say);

  async function work(): Promise<Measured> {
    await loaders.ready;
    end();
    say(`${options.connections} sockets joined in ${since(connectAt)}`);
    const joinedBytes = rss();
    reached.startMicros = clockMicros() + LEAD_MICROS;
    const usage = await drive(options, loaders, subject, reached.startMicros);
    reached.sentMicros = clockMicros();
    const settledBytes = rss();
    say('sent; waiting for the last deliveries');
    const reports = await loaders.finish(await readHeads(rest, plan, scene));
    const memory =
      beforeBytes === undefined || joinedBytes === undefined || settledBytes === undefined
        ? undefined
        : { beforeBytes, joinedBytes, settledBytes, marginalBytes: marginalBytes(samples) };
    return { usage, reports, memory };
  }

  try {
    return await whileServerRuns(subject.server, work());
  } finally {
    end();
    stopProgress();
    await loaders.stop();
  }
}
