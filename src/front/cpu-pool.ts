/**
 * The pool for work that takes milliseconds of CPU (password hashes, thumbnails): threads beside the front and the shards,
 * at a lower priority, with a bounded queue that says no.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { PasswordHashCost } from '../auth/password-hash.js';
import type { CpuTask, CpuThreadStarted, ThreadFigures } from '../ipc/messages.js';

const THREADS_MAX = 4; // at 7 ms a hash some 500 a second, and 76 MiB; more would starve messages
const QUEUE_MAX = 64; // half a second of default hashes for one thread; with costlier ones log-ins are slow anyway
const IDLE_MS = 60_000; // a thread without work for so long goes, but for one
const NICENESS = 5; // on a full core a quarter for hashes, three for messages; needs no privilege

export type CpuResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly overloaded: boolean };

/** `error`: also a picture that can't be read. */
export type CpuOutcome = 'ok' | 'overloaded' | 'error';

export interface CpuPool {
  /**
   * Runs a task in a thread; never rejects. `overloaded`: the queue is full or the pool closed, nothing was
   * run. Otherwise a failure means that the task threw or its thread died; `onError` has heard of it.
   */
  runCpu(task: CpuTask): Promise<CpuResult>;
  /** Tasks that wait for a thread, at most 64. */
  waiting(): number;
  /** Threads that have started and not ended. */
  threads(): number;
  /** By the threads' names: what they told last, a second ago or before the task that they are at. */
  figures(): readonly (readonly [thread: string, figures: ThreadFigures])[];
  /** Refuses what waits, lets what runs finish, ends the threads. */
  close(): Promise<void>;
}

/**
 * Starts the pool; it serves at once, tasks waiting for the first thread.
 *
 * @param options `done` hears how long each task took in seconds, its wait included
 */
export function createCpuPool(options: {
  readonly cost: PasswordHashCost;
  readonly onError: (error: unknown) => void;
  readonly done: (op: CpuTask['op'], outcome: CpuOutcome, seconds: number) => void;
}): CpuPool {
  const { cost, onError, done } = options;
  const pool = new Piscina<CpuTask, unknown>({
    // dist/src/front/cpu-pool.js → dist/workers/cpu.js
    filename: fileURLToPath(new URL('../../workers/cpu.js', import.meta.url)),
    name: 'hash_password' satisfies CpuTask['op'], // what a thread loads before its first task
    workerData: cost,
    minThreads: 1,
    maxThreads: Math.min(THREADS_MAX, Math.max(1, availableParallelism() - 1)),
    idleTimeout: IDLE_MS,
    maxQueue: QUEUE_MAX,
    niceIncrement: NICENESS,
    atomics: 'disabled', // a thread that waits in Atomics would seem busy, and never tell its figures
  });
  pool.on('error', onError);
  /** Threads come and go: a new one takes the lowest number that is free, so that few names are ever seen. */
  const told = new Map<number, ThreadFigures | null>();
  pool.on('message', ({ port }: CpuThreadStarted) => {
    let number = 0;
    while (told.has(number)) number++;
    told.set(number, null);
    port.on('message', (figures: ThreadFigures) => told.set(number, figures));
    port.on('close', () => told.delete(number));
    port.unref();
  });
  let closing = false;

  async function run(task: CpuTask): Promise<CpuResult> {
    if (closing || pool.queueSize >= QUEUE_MAX) return { ok: false, overloaded: true };
    try {
      const transferList = task.op === 'make_thumbnail' ? [task.bytes.buffer as ArrayBuffer] : [];
      return { ok: true, value: await pool.run(task, { name: task.op, transferList }) };
    } catch (error) {
      // A picture that can't be read is its uploader's business.
      if (!closing && task.op !== 'make_thumbnail') onError(error);
      return { ok: false, overloaded: closing };
    }
  }

  return {
    async runCpu(task) {
      const from = performance.now();
      const result = await run(task);
      const outcome = result.ok ? 'ok' : result.overloaded ? 'overloaded' : 'error';
      done(task.op, outcome, (performance.now() - from) / 1_000);
      return result;
    },
    waiting: () => pool.queueSize,
    threads: () => told.size,
    figures: () =>
      [...told].flatMap(([number, figures]) =>
        figures === null ? [] : [[`cpu-${number}`, figures] as const],
      ),
    async close() {
      closing = true;
      await pool.close({ force: true });
    },
  };
}
