import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Config } from '../config.js';
import type {
  ShardBatch,
  ShardStart,
  ShardStats,
  Slice,
  StandingSubscription,
  ToFront,
  ToShard,
} from '../ipc/messages.js';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import { createScrapes } from '../ipc/scrapes.js';
import { secondsSince } from '../lib/wall-clock.js';
import type { Logger } from '../observability/logger.js';
import type { ErrorCode } from '../protocol/errors.js';
import { shardOf } from '../protocol/ids.js';
import type { CpuPool } from './cpu-pool.js';
import type { FrontMetrics, ShardAnswer, ShardCall, ShardGateway } from './ports.js';

/**
 * The front's ends of the shards: credit, batching, and the supervision of the threads that Piscina holds.
 *
 *   starting ──run──► up ──task rejects──► down (requests in flight: `unavailable`) ──RESTART_PAUSE_MS──► up
 *                      └──drain──► drained
 */
export const CREDIT_WINDOW = 8_192; // requests under way to one shard: most of a second at full rate (I11)
/**
 * What waits for a shard goes at the end of the event loop's turn, or earlier when it has become so many: a turn in which
 * thousands of sockets are readable takes long (libuv polls on while its list of 1,024 is full).
 */
const FLUSH_AT = 64;
const RESTART_PAUSE_MS = 100; // so that a shard that can't start doesn't spin

export type FrameRequest = Extract<ToShard, { t: 'frame' }>;
export type FrameReply = Extract<ToFront, { t: 'reply' }>;

/** What the sockets hear from shards. Bytes are views into a batch's slab: good until the call returns. */
export interface ShardEvents {
  reply(reply: FrameReply, bytes: Uint8Array, request: FrameRequest | null): void;
  /** A frame that got no answer: `overloaded` or `unavailable`. */
  lost(request: FrameRequest, code: ErrorCode): void;
  publish(
    event: Extract<ToFront, { t: 'publish' }>,
    json: Uint8Array | null,
    msgpack: Uint8Array | null,
  ): void;
  resync(event: Extract<ToFront, { t: 'resync' }>): void;
  toUser(event: Extract<ToFront, { t: 'to_user' }>, json: Uint8Array, msgpack: Uint8Array): void;
  revoke(event: Extract<ToFront, { t: 'revoke' }>): void;
  standingsChanged(event: Extract<ToFront, { t: 'standings_changed' }>): void;
  blocksChanged(event: Extract<ToFront, { t: 'blocks_changed' }>): void;
  presenceHeard(event: Extract<ToFront, { t: 'presence_heard' }>): void;
  sessionsEnded(event: Extract<ToFront, { t: 'sessions_ended' }>): void;
  statuses(event: Extract<ToFront, { t: 'statuses' }>): void;
  statusChosen(event: Extract<ToFront, { t: 'status_chosen' }>): void;
  renamed(event: Extract<ToFront, { t: 'renamed' }>): void;
  /** The subscriptions to rooms of this shard that stand. */
  standing(shard: number): readonly StandingSubscription[];
  /** Everybody who isn't offline. */
  present(): Extract<ToShard, { t: 'presence' }>;
}

type Pending =
  | { readonly kind: 'frame'; readonly request: FrameRequest }
  | {
      readonly kind: 'http';
      readonly call: ShardCall;
      readonly rerouted: boolean;
      readonly resolve: (answer: ShardAnswer | ErrorCode) => void;
    }
  | { readonly kind: 'take'; readonly resolve: (waitMs: number) => void };

interface Link {
  readonly shard: number;
  port: MessagePort | null;
  readonly pending: Map<number, Pending>;
  outgoing: ToShard[];
  stats: ShardStats | null;
  drained: (() => void) | null;
}

export interface ShardLinks extends ShardGateway {
  /** This process among all nodes. */
  readonly nodeId: string;
  /** Sends a socket's frame; its outcome comes as `reply` or `lost`. */
  frame(shard: number, request: Omit<FrameRequest, 'id' | 't'>): void;
  /** A message that needs no answer. */
  tell(
    shard: number,
    message: Extract<
      ToShard,
      {
        t:
          | 'release'
          | 'crash'
          | 'presence'
          | 'presence_told'
          | 'read_statuses'
          | 'standings_changed'
          | 'log_level'
          | 'mutate';
      }
    >,
  ): void;
  /** The figures of the shards that answer in time. */
  metrics(): Promise<readonly ThreadMetrics[]>;
  /** Requests each shard has yet to answer. */
  underway(): readonly number[];
  /** Shards started again so far. */
  restarts(): number;
  stats(): readonly (ShardStats | null)[];
  /** Lets every shard finish what is under way. Nothing may be sent any more. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export function startShards(options: {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  readonly index: number;
  readonly hubPath: string | null;
  readonly cpu: CpuPool;
  readonly log: Logger;
  readonly events: ShardEvents;
  readonly stage: FrontMetrics['stage'];
}): ShardLinks {
  const { config, cpu, log, events, stage } = options;
  const pool = new Piscina<ShardStart, void>({
    // dist/src/front/shard-links.js → dist/workers/shard.js
    filename: fileURLToPath(new URL('../../workers/shard.js', import.meta.url)),
    name: 'serve',
    minThreads: config.shards,
    maxThreads: config.shards,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled', // a thread that waits in Atomics would never serve its port
  });
  pool.on('error', (error) => log.error({ event: 'shard_pool_error', err: error }));
  const nodeId = randomUUID();
  let lastId = 0;
  let restarts = 0;
  const scrapes = createScrapes<ThreadMetrics>();
  let closing = false;
  const links = Array.from({ length: config.shards }, (_, shard): Link => {
    const link = { shard, port: null, pending: new Map(), outgoing: [], stats: null, drained: null };
    return link;
  });
  for (const link of links) open(link);

  function open(link: Link): void {
    const { port1, port2 } = new MessageChannel();
    link.port = port1;
    link.outgoing = [];
    port1.on('message', (batch: ShardBatch) => receive(link, batch));
    const { databaseUrl, jwtSecret, index, hubPath } = options;
    const { shard } = link;
    const start = { shard, config, databaseUrl, jwtSecret, index, nodeId, hubPath, port: port2 };
    pool.run(start, { transferList: [port2] }).then(
      () => closed(link),
      (error: unknown) => {
        if (!closing) log.error({ event: 'shard_crashed', shard: link.shard, err: error });
        closed(link);
      },
    );
    const rooms = events.standing(link.shard);
    if (rooms.length > 0) send(link, { t: 'restore', rooms });
    const present = events.present();
    if (present.online.length + present.away.length > 0) send(link, present);
  }

  /** The thread is gone: whoever waited for it is told, and it is started again. */
  function closed(link: Link): void {
    link.port?.close();
    link.port = null;
    link.outgoing = [];
    link.stats = null;
    link.drained?.();
    const lost = [...link.pending.values()];
    link.pending.clear();
    for (const pending of lost) fail(pending, 'unavailable');
    if (!closing) {
      setTimeout(() => {
        if (closing) return;
        open(link);
        restarts++;
        log.info({ event: 'shard_restarted', shard: link.shard });
      }, RESTART_PAUSE_MS);
    }
  }

  function fail(pending: Pending, code: ErrorCode): void {
    if (pending.kind === 'frame') events.lost(pending.request, code);
    else if (pending.kind === 'take') pending.resolve(0);
    else pending.resolve(code);
  }

  function send(link: Link, message: ToShard): void {
    if (link.port === null) return; // who waits for it was told when the thread went
    const waiting = link.outgoing.push(message);
    if (waiting === 1) setImmediate(flush, link);
    else if (waiting >= FLUSH_AT) flush(link);
  }

  function flush(link: Link): void {
    if (link.outgoing.length === 0 || link.port === null) return;
    link.port.postMessage(link.outgoing);
    link.outgoing = [];
  }

  function request(link: Link, pending: Pending, make: (id: number) => ToShard): void {
    if (link.port === null || closing) return fail(pending, 'unavailable');
    if (link.pending.size >= CREDIT_WINDOW) return fail(pending, 'overloaded');
    const id = ++lastId;
    link.pending.set(id, pending);
    send(link, make(id));
  }

  function linkOf(shard: number): Link {
    const link = links[shard];
    if (link === undefined) throw new Error(`no shard ${shard}`);
    return link;
  }

  function http(
    shard: number,
    call: ShardCall,
    rerouted: boolean,
    resolve: (answer: ShardAnswer | ErrorCode) => void,
  ) {
    request(linkOf(shard), { kind: 'http', call, rerouted, resolve }, (id) => ({
      t: 'http',
      id,
      ...call,
      ...(rerouted ? { counted: true } : {}),
    }));
  }

  function receive(link: Link, batch: ShardBatch): void {
    const { slab, at } = batch;
    const begun = performance.now();
    if (slab !== null) stage('publish', secondsSince(at));
    const view = ([offset, length]: Slice) => {
      if (slab === null) throw new Error('a slice without a slab');
      return new Uint8Array(slab, offset, length);
    };
    for (const message of batch.messages) dispatch(link, message, view);
    if (slab !== null) stage('deliver', (performance.now() - begun) / 1_000);
  }

  function dispatch(link: Link, message: ToFront, view: (slice: Slice) => Uint8Array): void {
    switch (message.t) {
      case 'reply': {
        const pending = link.pending.get(message.id);
        if (pending === undefined) return;
        if (message.done) link.pending.delete(message.id);
        return events.reply(message, view(message.at), pending.kind === 'frame' ? pending.request : null);
      }
      case 'done':
        link.pending.delete(message.id);
        return;
      case 'publish':
        return events.publish(
          message,
          message.json === null ? null : view(message.json),
          message.msgpack === null ? null : view(message.msgpack),
        );
      case 'http': {
        const pending = link.pending.get(message.id);
        link.pending.delete(message.id);
        if (pending?.kind !== 'http') return;
        const { status, retryAfterMs = null } = message;
        return pending.resolve({ status, body: view(message.at), retryAfterMs });
      }
      case 'taken': {
        const pending = link.pending.get(message.id);
        link.pending.delete(message.id);
        if (pending?.kind === 'take') pending.resolve(message.wait_ms);
        return;
      }
      case 'reroute':
        return reroute(link, message);
      case 'resync':
        return events.resync(message);
      case 'to_user':
        return events.toUser(message, view(message.json), view(message.msgpack));
      case 'revoke':
        return events.revoke(message);
      case 'standings_changed':
        return events.standingsChanged(message);
      case 'blocks_changed':
        return events.blocksChanged(message);
      case 'presence_heard':
        return events.presenceHeard(message);
      case 'sessions_ended':
        return events.sessionsEnded(message);
      case 'statuses':
        return events.statuses(message);
      case 'status_chosen':
        return events.statusChosen(message);
      case 'renamed':
        return events.renamed(message);
      case 'notice':
        for (const other of links) if (other !== link) send(other, message);
        return;
      case 'cpu': {
        const { port } = link;
        void cpu.runCpu(message.task).then((result) => {
          // A new thread numbers its tasks anew: it must never get what the one before had asked for.
          if (link.port === port) send(link, { t: 'cpu_done', id: message.id, ...result });
        });
        return;
      }
      case 'metrics':
        return scrapes.answered(message.id, message.metrics);
      case 'stats':
        link.stats = message.stats;
        return;
      case 'drained':
        link.drained?.();
        return;
      default:
        return message satisfies never;
    }
  }

  function reroute(link: Link, message: Extract<ToFront, { t: 'reroute' }>): void {
    const pending = link.pending.get(message.id);
    link.pending.delete(message.id);
    if (pending === undefined) return;
    const home = shardOf(message.room_id, config.shards);
    if (pending.kind === 'frame' && pending.request.room_id === null) {
      return sendFrame(home, { ...pending.request, room_id: message.room_id });
    }
    if (pending.kind === 'http' && !pending.rerouted) return http(home, pending.call, true, pending.resolve);
    log.error({ event: 'reroute_twice', shard: link.shard });
    fail(pending, 'internal');
  }

  function sendFrame(shard: number, frame: Omit<FrameRequest, 't' | 'id'>): void {
    const asked: FrameRequest = {
      t: 'frame',
      id: lastId + 1,
      conn: frame.conn,
      caller: frame.caller,
      enc: frame.enc,
      type: frame.type,
      room_id: frame.room_id,
      ref: frame.ref,
      payload: frame.payload,
      over: frame.over,
      at: frame.at,
      resume: frame.resume,
    };
    request(linkOf(shard), { kind: 'frame', request: asked }, () => asked);
  }

  return {
    shards: config.shards,
    nodeId,
    http: (shard, call) => new Promise((resolve) => http(shard, call, false, resolve)),
    take: (shard, takes) =>
      new Promise((resolve) => {
        request(linkOf(shard), { kind: 'take', resolve }, (id) => ({ t: 'take', id, takes }));
      }),
    frame: sendFrame,
    tell(shard, message) {
      const link = linkOf(shard);
      if (link.port !== null) send(link, message);
    },
    stats: () => links.map((link) => link.stats),
    metrics: () =>
      scrapes.ask(
        links.filter((link) => link.port !== null),
        (link, id) => send(link, { t: 'metrics', id }),
      ),
    underway: () => links.map((link) => link.pending.size),
    restarts: () => restarts,
    async drain() {
      closing = true;
      await Promise.all(
        links.map(
          (link) =>
            new Promise<void>((resolve) => {
              if (link.port === null) return resolve();
              link.drained = resolve;
              send(link, { t: 'drain' });
            }),
        ),
      );
    },
    async close() {
      closing = true;
      await pool.destroy();
    },
  };
}
