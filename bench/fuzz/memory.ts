import { readFileSync } from 'node:fs';

/** Resident bytes of a process, as Linux counts them; 0 for one that is gone. */
export function readRss(pid: number): number {
  try {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
