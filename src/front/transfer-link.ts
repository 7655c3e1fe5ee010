import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Config } from '../config.js';
import type { FromTransfer, ToTransfer, TransferStart } from '../ipc/messages.js';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import { createScrapes } from '../ipc/scrapes.js';
import type { Logger } from '../observability/logger.js';
import { ERRORS, type ErrorCode, problem } from '../protocol/errors.js';
import type { CpuPool } from './cpu-pool.js';
import type { ShardCall } from './ports.js';

/**
 * The front's end of the transfer thread, which moves attachments' bytes (its messages: src/ipc/messages.ts).
 *
 *   starting ──run──► up ──task rejects──► down (exchanges under way: `unavailable`) ──RESTART_PAUSE_MS──► up
 */
const EXCHANGES_MAX = 2_048; // under way at once: beyond it `overloaded` (I11)
const RESTART_PAUSE_MS = 100; // so that a thread that can't start doesn't spin

export type TransferAnswer = Omit<Extract<FromTransfer, { t: 'answer' }>, 't' | 'id'>;
type Content = Extract<FromTransfer, { t: 'content' }>;
type Opening = Extract<ToTransfer, { t: 'http' | 'upload' | 'put' | 'download' }>;
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** What an exchange hears; `answered` at most once, and then nothing any more. */
export interface TransferEvents {
  answered(answer: TransferAnswer): void;
  credit?(bytes: number): void;
  content?(head: Content): void;
  bytes?(bytes: Uint8Array): void;
  broken?(): void;
}

/** An exchange under way. */
export interface TransferExchange {
  chunk(bytes: Uint8Array, last: boolean): void;
  pull(bytes: number): void;
  /** Nobody listens any more. */
  close(): void;
}

export interface TransferLink {
  open(request: WithoutId<Opening>, events: TransferEvents): TransferExchange;
  http(call: ShardCall): Promise<TransferAnswer>;
  setLogLevel(level: string): void;
  /** Crashes the thread, for tests of what then happens. */
  crash(): void;
  /** As of the last check; true before the first. */
  storageUp(): boolean;
  /** Exchanges under way. */
  underway(): number;
  /** Bytes to and from storage through this server, and threads started again; only rising. */
  readonly totals: Readonly<Record<'bytesIn' | 'bytesOut' | 'restarts', number>>;
  /** The thread's figures; none where it doesn't answer in time. */
  metrics(): Promise<readonly ThreadMetrics[]>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

export function startTransfer(options: {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  readonly index: number;
  readonly cpu: CpuPool;
  readonly log: Logger;
}): TransferLink {
  const { config, databaseUrl, jwtSecret, index, cpu, log } = options;
  const pool = new Piscina<TransferStart, void>({
    // dist/src/front/transfer-link.js → dist/workers/transfer.js
    filename: fileURLToPath(new URL('../../workers/transfer.js', import.meta.url)),
    name: 'serve',
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled', // a thread that waits in Atomics would never serve its port
  });
  pool.on('error', (error) => log.error({ event: 'transfer_pool_error', err: error }));
  const exchanges = new Map<number, TransferEvents>();
  let port: MessagePort | null = null;
  const totals = { bytesIn: 0, bytesOut: 0, restarts: 0 };
  const scrapes = createScrapes<ThreadMetrics>();
  let lastId = 0;
  let storageUp = true;
  let closing = false;
  let onDrained: (() => void) | null = null;
  start();

  function start(): void {
    const channel = new MessageChannel();
    const own = channel.port1;
    port = own;
    own.on('message', (message: FromTransfer) => receive(own, message));
    pool
      .run({ config, databaseUrl, jwtSecret, index, port: channel.port2 }, { transferList: [channel.port2] })
      .then(
        () => ended(),
        (error: unknown) => {
          if (!closing) log.error({ event: 'transfer_crashed', err: error });
          ended();
        },
      );
  }

  /** The thread is gone: whoever waited for it is told, and it is started again. */
  function ended(): void {
    port?.close();
    port = null;
    onDrained?.();
    const lost = [...exchanges.values()];
    exchanges.clear();
    for (const events of lost) {
      events.broken?.();
      events.answered(refusal('unavailable'));
    }
    if (closing) return;
    totals.restarts++;
    setTimeout(() => !closing && start(), RESTART_PAUSE_MS);
  }

  function receive(from: MessagePort, message: FromTransfer): void {
    switch (message.t) {
      case 'answer': {
        const events = exchanges.get(message.id);
        exchanges.delete(message.id);
        return events?.answered(message);
      }
      case 'credit':
        return exchanges.get(message.id)?.credit?.(message.bytes);
      case 'content':
        return exchanges.get(message.id)?.content?.(message);
      case 'bytes':
        totals.bytesOut += message.bytes.length;
        return exchanges.get(message.id)?.bytes?.(message.bytes);
      case 'broken': {
        const events = exchanges.get(message.id);
        exchanges.delete(message.id);
        return events?.broken?.();
      }
      case 'cpu':
        void cpu.runCpu(message.task).then((result) => {
          // A new thread numbers its tasks anew: it must never get what the one before had asked for.
          if (port === from) send({ t: 'cpu_done', id: message.id, ...result });
        });
        return;
      case 'transfer_stats':
        storageUp = message.storage_up;
        return;
      case 'metrics':
        return scrapes.answered(message.id, message.metrics);
      case 'drained':
        onDrained?.();
        return;
      default:
        return message satisfies never;
    }
  }

  function send(message: ToTransfer): void {
    port?.postMessage(message, message.t === 'chunk' ? [message.bytes.buffer as ArrayBuffer] : []);
  }

  function open(request: WithoutId<Opening>, events: TransferEvents): TransferExchange {
    const id = ++lastId;
    const isUnder = (): boolean => exchanges.has(id);
    const code =
      port === null || closing ? 'unavailable' : exchanges.size >= EXCHANGES_MAX ? 'overloaded' : null;
    if (code !== null) queueMicrotask(() => events.answered(refusal(code)));
    else {
      exchanges.set(id, events);
      send({ ...request, id } as Opening);
    }
    return {
      chunk(bytes, last) {
        if (!isUnder()) return;
        totals.bytesIn += bytes.length;
        send({ t: 'chunk', id, bytes, last });
      },
      pull: (bytes) => isUnder() && send({ t: 'pull', id, bytes }),
      close() {
        if (!exchanges.delete(id)) return;
        send({ t: 'cancel', id });
      },
    };
  }

  return {
    open,
    http: (call) =>
      new Promise((resolve) => {
        open({ t: 'http', ...call }, { answered: resolve });
      }),
    setLogLevel: (level) => send({ t: 'log_level', level }),
    crash: () => send({ t: 'crash' }),
    storageUp: () => storageUp && port !== null,
    underway: () => exchanges.size,
    totals,
    metrics: () => scrapes.ask(port === null ? [] : [port], (_port, id) => send({ t: 'metrics', id })),
    async drain() {
      closing = true;
      if (port === null) return;
      await new Promise<void>((resolve) => {
        onDrained = resolve;
        send({ t: 'drain' });
      });
    },
    async close() {
      closing = true;
      await pool.destroy();
    },
  };
}

function refusal(code: ErrorCode): TransferAnswer {
  return { status: ERRORS[code].status, body: JSON.stringify(problem(code)) };
}
