/**
 * The pool for work that takes milliseconds of CPU (password hashes, thumbnails): threads beside the front and the shards,
 * at a lower priority, with a bounded queue that says no.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { PasswordHashCost } from '../auth/password-hash.js';
import type { CpuTask } from '../ipc/messages.js';

const THREADS_MAX = 4; // at 7 ms a hash some 500 a second, and 76 MiB; more would starve messages
const QUEUE_MAX = 64; // half a second of default hashes for one thread; with costlier ones log-ins are slow anyway
const IDLE_MS = 60_000; // a thread without work for so long goes, but for one
const NICENESS = 5; // on a full core a quarter for hashes, three for messages; needs no privilege

export type CpuResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly overloaded: boolean };

export interface CpuPool {
  /**
   * Runs a task in a thread; never rejects. `overloaded`: the queue is full or the pool closed, nothing was
   * run. Otherwise a failure means that the task threw or its thread died; `onError` has heard of it.
   */
  runCpu(task: CpuTask): Promise<CpuResult>;
  /** Refuses what waits, lets what runs finish, ends the threads. */
  close(): Promise<void>;
}

/** Starts the pool; it serves at once, tasks waiting for the first thread. */
export function createCpuPool(cost: PasswordHashCost, onError: (error: unknown) => void): CpuPool {
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
  });
  pool.on('error', onError);
  let closing = false;

  return {
    async runCpu(task) {
      if (closing || pool.queueSize >= QUEUE_MAX) return { ok: false, overloaded: true };
      try {
        const transferList = task.op === 'make_thumbnail' ? [task.bytes.buffer as ArrayBuffer] : [];
        return { ok: true, value: await pool.run(task, { name: task.op, transferList }) };
      } catch (error) {
        // A picture that can't be read is its uploader's business.
        if (!closing && task.op !== 'make_thumbnail') onError(error);
        return { ok: false, overloaded: closing };
      }
    },
    async close() {
      closing = true;
      await pool.close({ force: true });
    },
  };
}
