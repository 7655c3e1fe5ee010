/** The main process' side of the loader processes. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RoomHead } from './checker.js';
import type { FromLoader, LoaderPlan, LoaderReport, Progress, ToLoader } from './messages.js';

export interface Loaders {
  /** Resolves when every socket has joined its rooms. */
  readonly ready: Promise<void>;
  /** Starts the schedule. Resolves when everything is sent and answered, or the drain time is over. */
  send(startMicros: number): Promise<void>;
  /** Tells the rooms' final heads; resolves with the loaders' judgement. */
  finish(heads: readonly RoomHead[]): Promise<LoaderReport[]>;
  /** Sum over all loaders. */
  progress(): Progress;
  /** Ends all loader processes. */
  stop(): Promise<void>;
}

/** A loader ends by itself when its channel closes; one that doesn't in this time is killed. */
const STOP_TIMEOUT_MS = 2_000;

const NOTHING_YET: Progress = { joined: 0, sent: 0, acked: 0, deliveries: 0 };

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  if (child.connected) child.disconnect();
  await ended;
  clearTimeout(killer);
}

type Kind = FromLoader['type'];

interface Loader {
  readonly child: ChildProcess;
  readonly expect: <K extends Kind>(kind: K) => Promise<Extract<FromLoader, { type: K }>>;
  readonly latest: () => Progress;
}

function startLoader(plan: LoaderPlan): Loader {
  const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], {
    serialization: 'advanced',
  });
  const arrived = new Map<Kind, FromLoader>();
  const waiting = new Map<Kind, { resolve: (message: FromLoader) => void; reject: (error: Error) => void }>();
  let failure: Error | undefined;
  let latest = NOTHING_YET;

  function fail(reason: string): void {
    failure ??= new Error(`loader ${plan.loader}: ${reason}`);
    for (const waiter of waiting.values()) waiter.reject(failure);
    waiting.clear();
  }

  child.on('message', (message: FromLoader) => {
    if (message.type === 'progress') {
      latest = message;
      return;
    }
    if (message.type === 'failed') {
      fail(message.reason);
      return;
    }
    arrived.set(message.type, message);
    waiting.get(message.type)?.resolve(message);
    waiting.delete(message.type);
  });
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => fail(`ended (${code ?? signal})`));
  child.send({ type: 'plan', plan } satisfies ToLoader);

  return {
    child,
    latest: () => latest,
    expect: (kind) =>
      new Promise((resolve, reject) => {
        const there = arrived.get(kind);
        if (there !== undefined) resolve(there as Extract<FromLoader, { type: typeof kind }>);
        else if (failure !== undefined) reject(failure);
        else {
          waiting.set(kind, {
            resolve: (message) => resolve(message as Extract<FromLoader, { type: typeof kind }>),
            reject,
          });
        }
      }),
  };
}

/** Forks one process for each plan. Every promise rejects with the reason when a loader fails or dies. */
export function startLoaders(plans: readonly LoaderPlan[]): Loaders {
  const loaders = plans.map(startLoader);
  const broadcast = (message: ToLoader) => {
    for (const { child } of loaders) if (child.connected) child.send(message);
  };
  const all = <K extends Kind>(kind: K) => Promise.all(loaders.map((loader) => loader.expect(kind)));
  return {
    ready: all('ready').then(() => undefined),
    async send(startMicros) {
      broadcast({ type: 'start', startMicros });
      await all('sent');
    },
    async finish(heads) {
      broadcast({ type: 'finish', heads });
      return (await all('report')).map(({ report }) => report);
    },
    progress() {
      return loaders
        .map((loader) => loader.latest())
        .reduce(
          (sum, one) => ({
            joined: sum.joined + one.joined,
            sent: sum.sent + one.sent,
            acked: sum.acked + one.acked,
            deliveries: sum.deliveries + one.deliveries,
          }),
          NOTHING_YET,
        );
    },
    async stop() {
      await Promise.all(loaders.map(({ child }) => stopChild(child)));
    },
  };
}
