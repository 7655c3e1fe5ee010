/**
 * Who a process id belongs to, for locks and orphans that outlive the process that wrote the id down. Reads /proc
 * on Linux and asks `ps` elsewhere (macOS).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Whether a process with this id exists and is no zombie. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return linuxStat(pid)?.state !== 'Z';
}

/**
 * Text that differs between two processes that ever had the same id on this machine: boot and start time.
 * null where no such process exists.
 */
export function processStartId(pid: number): string | null {
  if (process.platform !== 'linux') return ps(pid, 'lstart=');
  const stat = linuxStat(pid);
  return stat && `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${stat.startTicks}`;
}

/** The command line, arguments joined by single spaces; null where no such process exists. */
export function processCommand(pid: number): string | null {
  if (process.platform !== 'linux') return ps(pid, 'command=');
  return readProc(`/proc/${pid}/cmdline`)?.split('\0').join(' ').trim() || null;
}

function linuxStat(pid: number): { state: string; startTicks: string } | null {
  const text = process.platform === 'linux' ? readProc(`/proc/${pid}/stat`) : null;
  // Field 2, the name in brackets, may hold blanks and brackets: count from its end. State is field 3, start 22.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields ? { state: fields[0] ?? '', startTicks: fields[19] ?? '' } : null;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // it ended, perhaps just now
  }
}

function ps(pid: number, column: string): string | null {
  try {
    const env = { PATH: process.env.PATH, LC_ALL: 'C' };
    return (
      execFileSync('ps', ['-ww', '-o', column, '-p', String(pid)], { encoding: 'utf8', env }).trim() || null
    );
  } catch {
    return null; // ps ends with 1 where no process matches
  }
}
