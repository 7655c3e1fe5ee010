/** Reads Linux' /proc. Every function gives undefined where a file is missing: another system, or a process that ended. */
import { readdirSync, readFileSync } from 'node:fs';

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** One line of /proc/PID/stat or /proc/PID/task/TID/stat. CPU times in clock ticks. */
export interface StatLine {
  readonly id: number;
  readonly name: string;
  readonly parent: number;
  readonly ticks: number;
  /** CPU of children that ended and were waited for. */
  readonly endedChildrenTicks: number;
}

/** Parses a stat line; the name stands in parentheses and may hold anything, so fields count from the last one. */
export function parseStat(line: string): StatLine | undefined {
  const open = line.indexOf('(');
  const close = line.lastIndexOf(')');
  if (open < 0 || close < 0) return undefined;
  // proc(5): field 3 (state) comes first here; 4 is ppid, 14–17 are utime, stime, cutime, cstime.
  const fields = line.slice(close + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3] ?? 0);
  return {
    id: Number(line.slice(0, open)),
    name: line.slice(open + 1, close),
    parent: field(4),
    ticks: field(14) + field(15),
    endedChildrenTicks: field(16) + field(17),
  };
}

/** A process' own stat line. */
export function readStat(pid: number): StatLine | undefined {
  const line = read(`/proc/${pid}/stat`);
  return line === undefined ? undefined : parseStat(line);
}

/** The stat lines of all threads of a process. */
export function readThreads(pid: number): StatLine[] {
  let ids: string[];
  try {
    ids = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return ids.flatMap((id) => {
    const line = read(`/proc/${pid}/task/${id}/stat`);
    return line === undefined ? [] : (parseStat(line) ?? []);
  });
}

/** A process and all below it. @param skip names of processes that are left out with all below them. */
export function readTree(root: number, skip?: string): number[] {
  const children = (pid: number) =>
    readThreadIds(pid).flatMap((id) =>
      (read(`/proc/${pid}/task/${id}/children`) ?? '').split(' ').filter(Boolean),
    );
  return [
    root,
    ...children(root).flatMap((child) =>
      skip !== undefined && readStat(Number(child))?.name === skip ? [] : readTree(Number(child), skip),
    ),
  ];
}

function readThreadIds(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** A field of a `name: value kB` file, in bytes. */
export function parseKilobytes(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return match === null ? undefined : Number(match[1]) * 1_024;
}

/** Resident memory, bytes. */
export function readRss(pid: number): number | undefined {
  const text = read(`/proc/${pid}/status`);
  return text === undefined ? undefined : parseKilobytes(text, 'VmRSS');
}

/** A server's processes: itself and those that it started, its PostgreSQL aside, which is watched by itself. */
export function readServerTree(pid: number): number[] {
  return readTree(pid, 'postgres');
}

/** Resident memory of a server in all its processes, bytes. Undefined: it is gone. */
export function readServerRss(pid: number): number | undefined {
  const sizes = readServerTree(pid).flatMap((each) => readRss(each) ?? []);
  return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0);
}

/** Proportional memory (shared pages divided among those who share them), bytes. */
export function readPss(pid: number): number | undefined {
  const text = read(`/proc/${pid}/smaps_rollup`);
  return text === undefined ? undefined : parseKilobytes(text, 'Pss');
}

/** Busy and stolen ticks of the whole machine since boot. */
export function readMachineTicks(): { busy: number; stolen: number } | undefined {
  const line = read('/proc/stat')?.split('\n')[0];
  if (line === undefined) return undefined;
  // proc(5): user nice system idle iowait irq softirq steal
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { busy: user + nice + system + irq + softirq, stolen: steal };
}

/** How many descriptors this process may open. */
export function readDescriptorLimit(): number | undefined {
  const match = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits') ?? '');
  return match === null ? undefined : Number(match[1]);
}
