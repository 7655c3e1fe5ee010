import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { collectDefaultMetrics } from 'prom-client';
import type { Host } from './host.js';
import type { FromProcess, ProcessStart, ThreadMetrics, ToProcess } from './ipc/process-messages.js';
import { createScrapes } from './ipc/scrapes.js';
import { deferred } from './lib/deferred.js';
import type { Logger } from './observability/logger.js';
import { threadRegistry } from './observability/thread-metrics.js';

/**
 * Several processes on one port (SO_REUSEPORT: the kernel deals out connections), each with a front and shards.
 *
 *   starting ──listening──► up ──dies──► restarted after RESTART_PAUSE_MS, on the same port
 *                            └──drain──► gone
 */
const RESTART_PAUSE_MS = 200;
const START_WITHIN_MS = 30_000;

interface Child {
  readonly index: number;
  process: ChildProcess;
  listening: boolean;
}

export interface Supervisor {
  readonly port: number;
  metrics(): Promise<readonly ThreadMetrics[]>;
  setLogLevel(level: string): void;
  reloadTls(): void;
  /** Drains every process and resolves when all are gone. */
  drain(): Promise<void>;
}

/** Starts the processes, one after the other. @throws when the first of them doesn't come to listen */
export async function supervise(options: {
  readonly port: number;
  readonly processes: number;
  readonly host: Pick<Host, 'databaseUrl' | 'jwtSecret'>;
  readonly hubPath: string | null;
  readonly log: Logger;
}): Promise<Supervisor> {
  const { port, host, hubPath, log } = options;
  const { databaseUrl, jwtSecret } = host;
  const scrapes = createScrapes<readonly ThreadMetrics[]>();
  const registry = threadRegistry('supervisor');
  registry.setDefaultLabels({ process: 'supervisor', thread: 'supervisor' });
  collectDefaultMetrics({ register: registry });
  let draining = false;
  const children: Child[] = [];

  function spawn(index: number): { child: ChildProcess; listening: Promise<void> } {
    const { promise, resolve, reject } = deferred<void>();
    const child = fork(fileURLToPath(new URL('./main.js', import.meta.url)), [], {
      env: { ...process.env, PARLEY_CHILD: '1', PROCESSES: String(options.processes) },
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.on('message', (message: FromProcess) => {
      if (message.t === 'listening') resolve();
      else scrapes.answered(message.id, message.threads);
    });
    child.once('exit', (code, signal) => {
      reject(new Error(`process ${index} ended: ${code ?? signal}`));
      ended(index, code, signal);
    });
    const start: ProcessStart = { index, port, hubPath, databaseUrl, jwtSecret };
    tell(child, { t: 'start', start });
    promise.catch(() => undefined);
    return { child, listening: promise };
  }

  function ended(index: number, code: number | null, signal: string | null): void {
    const child = children[index];
    if (child === undefined) return;
    child.listening = false;
    if (draining) return;
    log.error({ event: 'process_died', process: index, code, signal });
    setTimeout(() => {
      if (draining) return;
      const { child: next, listening } = spawn(index);
      child.process = next;
      void listening.then(
        () => {
          child.listening = true;
          log.info({ event: 'process_restarted', process: index });
        },
        () => undefined,
      );
    }, RESTART_PAUSE_MS);
  }

  for (let index = 0; index < options.processes; index++) {
    const { child, listening } = spawn(index);
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error(`process ${index} didn't listen in time`)), START_WITHIN_MS).unref(),
    );
    await Promise.race([listening, late]);
    children.push({ index, process: child, listening: true });
  }

  return {
    port,
    async metrics() {
      const up = children.filter(({ listening }) => listening);
      const answers = await scrapes.ask(up, ({ process: child }, id) => tell(child, { t: 'metrics', id }));
      return [await registry.getMetricsAsJSON(), ...answers.flat()];
    },
    setLogLevel(level) {
      for (const child of children) tell(child.process, { t: 'log_level', level });
    },
    reloadTls() {
      for (const child of children) tell(child.process, { t: 'reload_tls' });
    },
    async drain() {
      draining = true;
      await Promise.all(
        children
          .filter(({ process: child }) => child.exitCode === null && child.signalCode === null)
          .map(({ process: child }) => {
            const gone = new Promise((resolve) => child.once('exit', resolve));
            tell(child, { t: 'drain' });
            return gone;
          }),
      );
    },
  };
}

function tell(child: ChildProcess, message: ToProcess): void {
  if (child.connected) child.send(message);
}
