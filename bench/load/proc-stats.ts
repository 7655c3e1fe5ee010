/** Watches what the server and PostgreSQL use while the bench measures. Linux only; elsewhere there are no figures. */
import { execFileSync } from 'node:child_process';
import { clockMicros } from './clock.js';
import {
  readMachineTicks,
  readPss,
  readRss,
  readServerRss,
  readServerTree,
  readStat,
  readThreads,
  readTree,
} from './proc-files.js';

/** CPU of one thread of the server in the window. */
export interface ThreadUsage {
  readonly tid: number;
  /** `front` for a server process' main thread, else the name that the kernel has. */
  readonly name: string;
  readonly cores: number;
}

/** Cores are CPU seconds a second; memory is in bytes. Undefined: not to be had. */
export interface UsageReport {
  readonly server:
    | {
        readonly cores: number;
        readonly peakCores: number;
        readonly maxRss: number;
        /** Resident bytes by second of the window. */
        readonly rss: readonly (readonly [second: number, bytes: number])[];
      }
    | undefined;
  readonly threads: readonly ThreadUsage[];
  readonly postgres:
    | {
        readonly cores: number;
        readonly memory: number;
        readonly memoryIs: 'PSS' | 'RSS';
        readonly processes: number;
      }
    | undefined;
  /** All processes of the machine, and what its host took from it. */
  readonly machine: { readonly cores: number; readonly stolen: number } | undefined;
}

export interface UsageWatch {
  /** Ends the watch. */
  stop(): UsageReport;
}

const SAMPLE_MS = 1_000;

/** Threads below this many cores aren't listed: V8's and libuv's helpers mostly sleep. */
const MIN_THREAD_CORES = 0.005;

/** Kernel clock ticks a second: 100 on every Linux that Node runs on, but ask. */
function ticksPerSecond(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100;
  } catch {
    return 100;
  }
}

function treeTicks(root: number): { ticks: number; processes: number[] } {
  const processes = readTree(root);
  let ticks = readStat(root)?.endedChildrenTicks ?? 0;
  for (const pid of processes) ticks += readStat(pid)?.ticks ?? 0;
  return { ticks, processes };
}

function treeMemory(processes: readonly number[]): { memory: number; memoryIs: 'PSS' | 'RSS' } {
  const shares = processes.map(readPss);
  if (shares.every((share) => share !== undefined)) {
    return { memory: shares.reduce((sum, share) => sum + share, 0), memoryIs: 'PSS' };
  }
  return { memory: processes.reduce((sum, pid) => sum + (readRss(pid) ?? 0), 0), memoryIs: 'RSS' };
}

/** CPU of all processes of a server that are running. */
function serverTicks(pid: number): number {
  return readServerTree(pid).reduce((sum, each) => sum + (readStat(each)?.ticks ?? 0), 0);
}

/** Every thread of every process of a server. */
function serverThreads(pid: number) {
  return readServerTree(pid).flatMap((each) =>
    readThreads(each).map(({ id, name, ticks }) => ({
      id,
      ticks,
      name: id === each ? mainName(name) : name,
    })),
  );
}

/** Node calls all its threads by its own name. */
function mainName(process: string): string {
  return process === 'node' || process === 'MainThread' ? 'front' : process;
}

/** Starts watching. Either id may be undefined. */
export function watchUsage(serverPid: number | undefined, postgresPid: number | undefined): UsageWatch {
  const hertz = ticksPerSecond();
  const started = clockMicros();
  const serverStart = serverPid === undefined ? undefined : serverTicks(serverPid);
  const threadsStart = new Map(
    (serverPid === undefined ? [] : serverThreads(serverPid)).map((thread) => [thread.id, thread.ticks]),
  );
  const postgresStart = postgresPid === undefined ? undefined : treeTicks(postgresPid);
  const machineStart = readMachineTicks();
  let peakCores = 0;
  const rss: (readonly [number, number])[] = [];
  let sampledAt = started;
  let sampledTicks = serverStart ?? 0;

  function sample(): void {
    if (serverPid === undefined) return;
    const now = clockMicros();
    const ticks = serverTicks(serverPid);
    peakCores = Math.max(peakCores, (ticks - sampledTicks) / hertz / ((now - sampledAt) / 1e6));
    const resident = readServerRss(serverPid);
    if (resident !== undefined) rss.push([(now - started) / 1e6, resident]);
    sampledAt = now;
    sampledTicks = ticks;
  }
  const timer = setInterval(sample, SAMPLE_MS);

  function threads(seconds: number): ThreadUsage[] {
    if (serverPid === undefined) return [];
    return serverThreads(serverPid)
      .map((thread) => ({
        tid: thread.id,
        name: thread.name,
        cores: (thread.ticks - (threadsStart.get(thread.id) ?? 0)) / hertz / seconds,
      }))
      .filter((thread) => thread.cores >= MIN_THREAD_CORES)
      .sort((one, other) => other.cores - one.cores);
  }

  return {
    stop() {
      clearInterval(timer);
      const seconds = (clockMicros() - started) / 1e6;
      const cores = (from: number, to: number) => (to - from) / hertz / seconds;
      // A last sample right after one of the timer's would divide by next to nothing.
      if (clockMicros() - sampledAt > (SAMPLE_MS * 1_000) / 2) sample();
      const serverEnd = serverPid === undefined ? undefined : serverTicks(serverPid);
      const postgresEnd = postgresPid === undefined ? undefined : treeTicks(postgresPid);
      const machineEnd = readMachineTicks();
      return {
        server:
          serverStart !== undefined && serverEnd !== undefined && serverEnd > 0
            ? {
                cores: cores(serverStart, serverEnd),
                peakCores,
                maxRss: rss.reduce((max, [, bytes]) => Math.max(max, bytes), 0),
                rss,
              }
            : undefined,
        threads: threads(seconds),
        postgres:
          postgresStart && postgresEnd && postgresEnd.ticks > 0
            ? {
                cores: cores(postgresStart.ticks, postgresEnd.ticks),
                ...treeMemory(postgresEnd.processes),
                processes: postgresEnd.processes.length,
              }
            : undefined,
        machine:
          machineStart && machineEnd
            ? {
                cores: cores(machineStart.busy, machineEnd.busy),
                stolen: cores(machineStart.stolen, machineEnd.stolen),
              }
            : undefined,
      };
    },
  };
}
