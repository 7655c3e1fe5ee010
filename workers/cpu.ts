/**
 * Thread of the CPU pool (src/front/cpu-pool.ts): one named handler for each `op` of CpuTask. What they block
 * is this thread alone.
 */
import { MessageChannel, parentPort, workerData } from 'node:worker_threads';
import { hashPassword, type PasswordHashCost, verifyPassword } from '../src/auth/password-hash.js';
import type { CpuTask, CpuThreadStarted, Picture } from '../src/ipc/messages.js';
import { watchThread } from '../src/observability/thread-figures.js';

type Task<Op extends CpuTask['op']> = Extract<CpuTask, { op: Op }>;

const FIGURES_EVERY_MS = 1_000;

const cost = workerData as PasswordHashCost;
tellFigures();

export function hash_password(task: Task<'hash_password'>): string {
  return hashPassword(task.password, cost);
}

export function verify_password(task: Task<'verify_password'>): boolean {
  return verifyPassword(task.password, task.hash);
}

/** libvips is loaded by the first thumbnail: most threads never make one. */
export async function make_thumbnail(task: Task<'make_thumbnail'>): Promise<Picture> {
  const { readPicture } = await import('../src/attachments/pictures.js');
  return readPicture(task.bytes);
}

/** Told unasked: whoever scrapes must not wait for a thread that hashes. */
function tellFigures(): void {
  const figures = watchThread();
  const { port1: own, port2: port } = new MessageChannel();
  const tell = (): void => own.postMessage(figures());
  tell();
  setInterval(tell, FIGURES_EVERY_MS).unref();
  parentPort?.postMessage({ t: 'cpu_thread', port } satisfies CpuThreadStarted, [port]);
}
