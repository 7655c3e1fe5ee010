/** Programs that a baseline runs beside itself. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Program {
  readonly child: ChildProcess;
  /** Rejects when it can't be started or ends by itself. */
  readonly failed: Promise<never>;
  /** SIGTERM, then waits for its end. */
  stop(): Promise<void>;
}

/** It starts in a moment, or not at all. */
const START_TIMEOUT_MS = 20_000;
const RETRY_MS = 50;

/** Starts a program that ends with this process. @param output descriptor of the file that gets what it prints. */
export function startProgram(
  command: string,
  args: readonly string[],
  output: number | 'ignore',
  directory = '.',
): Program {
  const child = spawn(command, args, { cwd: directory, stdio: ['ignore', output, output] });
  let isStopped = false;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`${command}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      if (!isStopped) reject(new Error(`${command} ended with ${code ?? signal}`));
    });
  });
  failed.catch(() => undefined); // whoever waits for it is told as well
  // A baseline that is killed must not leave it behind.
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    child,
    failed,
    async stop() {
      isStopped = true;
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Waits until `isReady` says so. @throws Error when the program ends first or takes too long. */
export async function whenReady(program: Program, isReady: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (!(await Promise.race([isReady(), program.failed]))) {
    if (Date.now() > giveUpAt) throw new Error(`${program.child.spawnfile} did not start`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
