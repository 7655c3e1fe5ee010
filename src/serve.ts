import { createInterface } from 'node:readline';
import type { Config } from './config.js';
import { type Front, startFront } from './front/front.js';
import type { Mutation } from './ipc/messages.js';
import type { FromProcess, ProcessStart, ToProcess } from './ipc/process-messages.js';
import type { Logger } from './observability/logger.js';

/** Serving as one of several processes under a supervisor (`supervisor.ts`), which tells it what to do. */
export function serveAsChild(config: Config, log: Logger, exit: (code: number) => void): void {
  let front: Front | null = null;
  const say = (message: FromProcess): void => void process.send?.(message);

  async function start(given: ProcessStart): Promise<void> {
    log.setBindings({ process: given.index });
    front = await startFront({
      config: { ...config, server: { ...config.server, port: given.port } },
      ...given,
      log,
    });
    say({ t: 'listening' });
  }

  process.on('message', (message: ToProcess) => {
    switch (message.t) {
      case 'start':
        return void start(message.start).catch((error: unknown) => {
          log.fatal({ event: 'failed', err: error });
          exit(1);
        });
      case 'metrics':
        return void front?.metrics().then((threads) => say({ t: 'metrics', id: message.id, threads }));
      case 'log_level':
        return void front?.setLogLevel(message.level);
      case 'reload_tls':
        return void front?.reloadTls();
      case 'drain':
        return void drain();
      default:
        return message satisfies never;
    }
  });

  async function drain(): Promise<void> {
    await front?.drain();
    exit(0);
  }
  // The supervisor says what to do; a signal to the whole group reaches everyone.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  process.on('disconnect', () => void drain()); // the supervisor is dead: nobody restarts it but the one above
}

/**
 * Lets tests cause faults that can't be caused from outside: lines on stdin, `{"crash_shard": n}`,
 * `{"crash_transfer": true}` or `{"mutate": …}`.
 */
export function takeFaults(front: Pick<Front, 'crashShard' | 'crashTransfer' | 'mutate'>): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { crash_shard, crash_transfer, mutate } = JSON.parse(line) as {
      crash_shard?: number;
      crash_transfer?: true;
      mutate?: Mutation;
    };
    if (crash_shard !== undefined) front.crashShard(crash_shard);
    if (crash_transfer === true) front.crashTransfer();
    if (mutate !== undefined) front.mutate(mutate);
  });
}
