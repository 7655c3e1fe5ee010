/** A run from beginning to end: server, scene, loaders, measuring, judging. */
import { writeFileSync } from 'node:fs';
import { clockMicros, sleep } from './clock.js';
import { percentileText } from './latency.js';
import { type Loaders, startLoaders } from './loaders.js';
import { readMachineFacts } from './machine.js';
import type { LoaderPlan } from './messages.js';
import type { LoadOptions } from './options.js';
import { type LoadPlan, planLoad } from './plan.js';
import { dataDirOf, findPostmaster } from './postgres-process.js';
import { readDescriptorLimit, readRss } from './proc-files.js';
import { type UsageReport, type UsageWatch, watchUsage } from './proc-stats.js';
import { createRestClient, type RestClient } from './rest-client.js';
import { type MergedRun, mergeReports } from './result.js';
import { type ServerProcess, startServer } from './server-process.js';
import { readHeads, type Scene, setScene } from './setup.js';

/** From `start` to the first due message: time for the message to reach all loaders. */
const LEAD_MICROS = 200_000;

/** Descriptors that a loader needs beside its sockets. */
const SPARE_DESCRIPTORS = 64;

/** What a run watches beside the traffic. */
interface Subject {
  readonly origin: string;
  readonly server: ServerProcess | undefined;
  readonly serverPid: number | undefined;
  readonly postgresPid: number | undefined;
}

type Say = (text: string) => void;

function checkDescriptors(options: LoadOptions): void {
  const limit = readDescriptorLimit();
  const needed = Math.ceil(options.connections / options.processes) + SPARE_DESCRIPTORS;
  if (limit !== undefined && needed > limit) {
    throw new Error(
      `${needed} descriptors a loader are more than the limit of ${limit}: use more --processes`,
    );
  }
}

async function findSubject(options: LoadOptions, server: ServerProcess | undefined): Promise<Subject> {
  const serverPid = server?.pid ?? options.serverPid;
  const dataDir = server?.dataDir ?? (serverPid === undefined ? undefined : await dataDirOf(serverPid));
  const found = dataDir === undefined ? undefined : await findPostmaster(dataDir);
  return {
    origin: server?.origin ?? new URL(options.url ?? '').origin,
    server,
    serverPid,
    postgresPid: options.postgresPid ?? found,
  };
}

function loaderPlans(options: LoadOptions, plan: LoadPlan, scene: Scene, origin: string): LoaderPlan[] {
  const { hostname, port, protocol } = new URL(origin);
  if (protocol !== 'http:') throw new Error('--url must begin with http:// (the loader speaks no TLS)');
  const salt = Math.floor(Math.random() * 0x1000);
  const loaderOf = new Map(plan.sockets.map((socket) => [socket.index, socket.loader]));
  return Array.from({ length: options.processes }, (_, loader) => {
    const senders = plan.senders.filter((index) => loaderOf.get(index) === loader);
    return {
      loader,
      target: { host: hostname, port: Number(port || 80), path: '/api/v1/ws' },
      rooms: scene.rooms,
      sockets: plan.sockets
        .filter((socket) => socket.loader === loader)
        .map(({ index, user, rooms, encoding, localAddress }) => ({
          index,
          token: scene.accounts.get(user)?.token ?? '',
          rooms,
          encoding,
          localAddress,
        })),
      senders,
      share: {
        rate: options.rate,
        senders: senders.length,
        allSenders: options.senders,
        loader,
        seconds: options.warmupSeconds + options.seconds,
      },
      warmupSeconds: options.warmupSeconds,
      measuredSeconds: options.seconds,
      drainSeconds: options.drainSeconds,
      connectRate: options.connectRate / options.processes,
      payloadBytes: options.payloadBytes,
      salt,
      seed: options.seed,
    };
  });
}

/** Sends the schedule, watching what the server uses in the measured window. */
async function drive(
  options: LoadOptions,
  loaders: Loaders,
  subject: Subject,
  say: Say,
): Promise<UsageReport> {
  const startMicros = clockMicros() + LEAD_MICROS;
  const sent = loaders.send(startMicros);
  const untilMicros = (micros: number) => sleep(Math.max(0, (micros - clockMicros()) / 1_000));
  const ticker = setInterval(() => {
    const { sent: out, acked, deliveries } = loaders.progress();
    say(`  ${out} sent, ${acked} acknowledged, ${deliveries} delivered`);
  }, 5_000);
  try {
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
  } finally {
    clearInterval(ticker);
  }
}

function writeFiles(options: LoadOptions, run: MergedRun): void {
  if (options.jsonFile !== undefined) {
    writeFileSync(options.jsonFile, `${JSON.stringify(run.result, undefined, 2)}\n`);
  }
  if (options.hdrPrefix !== undefined) {
    writeFileSync(`${options.hdrPrefix}-ack.hgrm`, percentileText(run.ack));
    writeFileSync(`${options.hdrPrefix}-delivery.hgrm`, percentileText(run.delivery));
  }
}

/** `work`, unless the server ends by itself first: the rest of the run would only wait for it. */
async function whileServerRuns<T>(server: ServerProcess | undefined, work: Promise<T>): Promise<T> {
  if (server === undefined) return await work;
  const ended = server.ended.then((how): never => {
    throw new Error(`the server ended under load with ${how}`);
  });
  return await Promise.race([work, ended]);
}

async function measure(options: LoadOptions, subject: Subject, rest: RestClient, say: Say) {
  const plan = planLoad(options);
  const setUpAt = clockMicros();
  const since = (micros: number) => `${((clockMicros() - micros) / 1e6).toFixed(1)} s`;
  const scene = await setScene(rest, plan);
  say(`set up ${scene.accounts.size} users, ${scene.rooms.length} rooms in ${since(setUpAt)}`);
  const rss = () => (subject.serverPid === undefined ? undefined : readRss(subject.serverPid));
  const beforeBytes = rss();
  const connectAt = clockMicros();
  const loaders = startLoaders(loaderPlans(options, plan, scene, subject.origin));

  async function work() {
    await loaders.ready;
    say(`${options.connections} sockets joined in ${since(connectAt)}`);
    const joinedBytes = rss();
    const usage = await drive(options, loaders, subject, say);
    say('sent; waiting for the last deliveries');
    const reports = await loaders.finish(await readHeads(rest, plan, scene));
    const serverMemory =
      beforeBytes === undefined || joinedBytes === undefined ? undefined : { beforeBytes, joinedBytes };
    return { usage, reports, serverMemory };
  }

  try {
    return await whileServerRuns(subject.server, work());
  } finally {
    await loaders.stop();
  }
}

/**
 * Runs the bench. Starts the server if no URL is given, and stops it again whatever happens.
 * @param say is told what goes on, a line at a time.
 * @throws Error with a sentence when the run couldn't be made (set-up refused, a loader died).
 */
export async function runLoad(options: LoadOptions, say: Say): Promise<MergedRun> {
  checkDescriptors(options);
  const startedAt = new Date().toISOString();
  const server =
    options.url === undefined ? await startServer(options.databaseUrl, options.serverEntry) : undefined;
  const interrupted = () => {
    void server?.stop().finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    const subject = await findSubject(options, server);
    say(
      `server ${subject.origin} pid ${subject.serverPid ?? 'n/a'}, postgres pid ${subject.postgresPid ?? 'n/a'}`,
    );
    const machine = await readMachineFacts(subject.postgresPid);
    const measured = await measure(options, subject, createRestClient(subject.origin), say);
    const exit = await server?.stop();
    const run = mergeReports(measured.reports, {
      startedAt,
      // The URL holds a password, and results are passed on.
      options: { ...options, databaseUrl: options.databaseUrl === undefined ? undefined : '(given)' },
      machine,
      usage: measured.usage,
      serverMemory: measured.serverMemory,
      server: server === undefined || exit === undefined ? undefined : { exit, warnings: server.warnings() },
    });
    writeFiles(options, run);
    if (run.result.verdict === 'failed')
      for (const logged of server?.tail() ?? []) say(`  server: ${logged}`);
    return run;
  } catch (error) {
    for (const logged of server?.tail() ?? []) say(`  server: ${logged}`);
    await server?.stop();
    throw error;
  }
}
