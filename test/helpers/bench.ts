import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';

export interface BenchRun {
  readonly code: number;
  readonly output: string;
  /** Reads one of the files that it wrote. */
  readonly file: (name: string) => Promise<string>;
}

const TIMEOUT_MS = 60_000;

/** Runs a built bench (`load`, `compare` …) to its end, with a results directory of its own. */
export async function runBench(name: string, ...args: readonly string[]): Promise<BenchRun> {
  const results = join(inject('runDirectory'), `bench-${randomBytes(6).toString('hex')}`);
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(
      process.execPath,
      [join('dist', 'bench', name, 'main.js'), ...args, '--results', results],
      { timeout: TIMEOUT_MS },
      (error, stdout, stderr) => {
        const failed = error === null ? 0 : Number(error.code ?? -1);
        resolve({ code: failed, output: `${stdout}\n${stderr}` });
      },
    );
  });
  return { code, output, file: (file) => readFile(join(results, file), 'utf8') };
}
