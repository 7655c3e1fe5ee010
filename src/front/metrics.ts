import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client';
import type { CpuTask } from '../ipc/messages.js';
import { madeOnce } from '../lib/made-once.js';
import { registerCaches } from '../observability/cache-metrics.js';
import { frameErrors } from '../observability/frame-errors.js';
import { leanHistogram } from '../observability/lean-histogram.js';
import { limitsHit } from '../observability/limits-hit.js';
import { FRONT_STAGES, stageTimes } from '../observability/stage-times.js';
import { threadRegistry } from '../observability/thread-metrics.js';
import { CLOSE_CODES } from '../protocol/errors.js';
import { Encoding } from '../protocol/frames.js';
import type { CpuOutcome, CpuPool } from './cpu-pool.js';
import { type FrontMetrics, LIMITS } from './ports.js';
import type { Sessions } from './sessions.js';
import { CREDIT_WINDOW, type ShardLinks } from './shard-links.js';
import type { Sockets } from './sockets.js';
import type { TransferLink } from './transfer-link.js';
import type { UnreadAnswers } from './unread-answers.js';

/** From 1 ms to 5 s, with most of them where the targets are. */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5];

export function createFrontMetrics(
  parts: () => {
    sockets: Sockets;
    links: ShardLinks;
    transfer: TransferLink;
    cpu: CpuPool;
    sessions: Sessions;
    unread: Pick<UnreadAnswers, 'bytes'>;
    ready: boolean;
  },
): FrontMetrics & {
  readonly registry: Registry;
  /** Seconds from asking to the result. */
  cpuTask(op: CpuTask['op'], outcome: CpuOutcome, seconds: number): void;
} {
  const registry = threadRegistry('front');
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });

  const total = (name: string, help: string, read: (sockets: Sockets) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(parts().sockets));
      },
    });
  const level = (name: string, help: string, read: (sockets: Sockets, links: ShardLinks) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const { sockets, links } = parts();
        this.set(read(sockets, links));
      },
    });

  new Gauge({
    name: 'parley_websocket_connections',
    help: 'Open WebSockets by encoding.',
    labelNames: ['encoding'],
    registers,
    collect() {
      const counts = parts().sockets.counts();
      for (const encoding of Object.values(Encoding)) this.set({ encoding }, counts[encoding]);
    },
  });
  level('parley_topics', 'Rooms that sockets of this process have joined.', (s) => s.counts().topics);
  level(
    'parley_slow_readers',
    'Sockets that have missed events and not drained yet.',
    (s) => s.counts().slow,
  );
  level(
    'parley_process_start_seconds', // prom-client leaves its own out where it adds up threads
    'When the process started, epoch seconds.',
    () => performance.timeOrigin / 1_000,
  );
  level('parley_users_present', 'Users who are shown as online or away.', (s) => s.counts().present);
  new Counter({
    name: 'parley_websocket_closes_total',
    help: 'Closed WebSockets by close code.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const code of Object.values(CLOSE_CODES)) this.inc({ code: String(code) }, 0);
      for (const [code, count] of parts().sockets.closes) this.inc({ code: String(code) }, count);
    },
  });
  total('parley_websocket_opens_total', 'WebSockets opened.', (s) => s.totals.opened);
  total('parley_websocket_frames_received_total', 'Frames from clients.', (s) => s.totals.framesIn);
  total(
    'parley_websocket_frames_sent_total',
    'Frames to clients, a publish counted once a socket.',
    (s) => s.totals.framesOut,
  );
  total('parley_websocket_bad_frames_total', 'Frames that could not be read.', (s) => s.totals.badFrames);
  total('parley_events_published_total', 'Events published to topics.', (s) => s.totals.published);
  total('parley_resyncs_total', 'Sockets told that they missed events.', (s) => s.totals.resyncs);
  total(
    'parley_websocket_drops_total',
    'Times that a socket’s full buffer swallowed events, maybe several at once.',
    (s) => s.totals.drops,
  );
  registerCaches(registers, {
    ended_sessions: () => parts().sessions.lookups(),
    access_tokens: () => parts().sessions.verified(),
  });
  new Gauge({
    name: 'parley_shard_credit_window',
    help: 'Requests that a shard may have under way.',
    labelNames: ['shard'],
    registers,
    collect() {
      for (const shard of parts().links.underway().keys()) this.set({ shard: String(shard) }, CREDIT_WINDOW);
    },
  });
  new Gauge({
    name: 'parley_shard_requests_underway',
    help: 'Requests a shard has yet to answer: the credit that is used of its window.',
    labelNames: ['shard'],
    registers,
    collect() {
      for (const [shard, count] of parts().links.underway().entries()) {
        this.set({ shard: String(shard) }, count);
      }
    },
  });
  new Gauge({
    name: 'parley_shard_up',
    help: 'Whether a shard runs.',
    labelNames: ['shard'],
    registers,
    collect() {
      for (const [shard, stats] of parts().links.stats().entries()) {
        this.set({ shard: String(shard) }, stats === null ? 0 : 1);
      }
    },
  });
  new Gauge({
    name: 'parley_database_up',
    help: 'Whether the database answers a shard within 2 s; 1 until a shard has asked.',
    labelNames: ['shard'],
    registers,
    collect() {
      for (const [shard, stats] of parts().links.stats().entries()) {
        this.set({ shard: String(shard) }, Number(stats?.database_up ?? true));
      }
    },
  });
  new Gauge({
    name: 'parley_http_unread_bytes',
    help: 'Bytes of HTTP answers that their clients have yet to read.',
    registers,
    collect() {
      this.set(parts().unread.bytes());
    },
  });
  new Gauge({
    name: 'parley_storage_up',
    help: 'Whether the storage of attachments answers; 1 until it was asked.',
    registers,
    collect() {
      this.set(Number(parts().transfer.storageUp()));
    },
  });
  new Gauge({
    name: 'parley_transfers_underway',
    help: 'Uploads, downloads and requests about attachments under way; at most 2048.',
    registers,
    collect() {
      this.set(parts().transfer.underway());
    },
  });
  new Counter({
    name: 'parley_transfer_bytes_total',
    help: 'Bytes of attachments through this server: `in` from clients, `out` to them.',
    labelNames: ['direction'],
    registers,
    collect() {
      const { bytesIn, bytesOut } = parts().transfer.totals;
      this.reset();
      this.inc({ direction: 'in' }, bytesIn);
      this.inc({ direction: 'out' }, bytesOut);
    },
  });
  new Counter({
    name: 'parley_transfer_restarts_total',
    help: 'Threads that move attachments started again after a crash.',
    registers,
    collect() {
      this.reset();
      this.inc(parts().transfer.totals.restarts);
    },
  });
  new Gauge({
    name: 'parley_cpu_tasks_waiting',
    help: 'Password hashes and thumbnails that wait for a thread of the CPU pool; at 64 the next are `overloaded`.',
    registers,
    collect() {
      this.set(parts().cpu.waiting());
    },
  });
  new Gauge({
    name: 'parley_cpu_threads',
    help: 'Threads of the CPU pool; one without work for a minute goes, but for one.',
    registers,
    collect() {
      this.set(parts().cpu.threads());
    },
  });
  new Gauge({
    name: 'parley_ready',
    help: 'Whether the process takes connections: 0 while it starts or drains.',
    registers,
    collect() {
      this.set(Number(parts().ready));
    },
  });
  new Counter({
    name: 'parley_shard_restarts_total',
    help: 'Shards started again after a crash.',
    registers,
    collect() {
      this.reset();
      this.inc(parts().links.restarts());
    },
  });

  const requests = leanHistogram(registers, {
    name: 'parley_http_request_seconds',
    help: 'REST requests, from their head to their answer, by route and by error code or `ok`.',
    buckets: LATENCY_BUCKETS,
  });
  const http = madeOnce((route: string) => madeOnce((code: string) => requests({ route, code })));
  const latency = (name: string, help: string) =>
    leanHistogram(registers, { name, help, buckets: LATENCY_BUCKETS })({});
  const cpuTasks = new Histogram({
    name: 'parley_cpu_task_seconds',
    help: 'Tasks of the CPU pool by name and outcome (`ok`, `error`, `overloaded`), their wait for a thread included.',
    labelNames: ['task', 'outcome'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
  return {
    registry,
    stage: stageTimes(registers, FRONT_STAGES),
    lost: frameErrors(registers),
    http: (route, code, seconds) => http(route)(code)(seconds),
    acknowledged: latency(
      'parley_ack_seconds',
      'Sends over WebSocket, from the receipt of the frame to the sending of its answer.',
    ),
    delivered: latency(
      'parley_delivery_seconds',
      'Messages, from entering a batch on any node to being published to their topics on this one.',
    ),
    cpuTask: (task, outcome, seconds) => cpuTasks.observe({ task, outcome }, seconds),
    limited: limitsHit(registers, LIMITS),
  };
}
