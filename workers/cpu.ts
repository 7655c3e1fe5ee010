/**
 * Thread of the CPU pool (src/front/cpu-pool.ts): one named handler for each `op` of CpuTask. What they block
 * is this thread alone.
 */
import { workerData } from 'node:worker_threads';
import { hashPassword, type PasswordHashCost, verifyPassword } from '../src/auth/password-hash.js';
import type { CpuTask, Picture } from '../src/ipc/messages.js';

type Task<Op extends CpuTask['op']> = Extract<CpuTask, { op: Op }>;

const cost = workerData as PasswordHashCost;

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
