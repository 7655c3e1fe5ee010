import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js';
import type { Config } from '../config.js';
import type { Mutation } from '../ipc/messages.js';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import type { Logger } from '../observability/logger.js';
import { createCpuPool } from './cpu-pool.js';
import { registerHttp } from './http-server.js';
import { createFrontMetrics } from './metrics.js';
import { createSessions, type Sessions } from './sessions.js';
import { type ShardLinks, startShards } from './shard-links.js';
import { registerSockets } from './sockets.js';
import { startTransfer, type TransferLink } from './transfer-link.js';
import { uWS } from './uws.js';

const DRAIN_MS = 3_000; // of the five seconds in which a drained server is gone (seed §13.2)
const LINGER_MS = 200; // for close frames to leave

export interface Front {
  readonly port: number;
  /** The figures of the front and of every shard that answers in time. */
  metrics(): Promise<readonly ThreadMetrics[]>;
  setLogLevel(level: string): void;
  /** Not ready → no new sockets → `bye` → what is under way ends → 1012. Within four seconds. */
  drain(): Promise<void>;
  /** Crashes a shard's thread, for tests of what then happens. */
  crashShard(shard: number): void;
  /** Makes every shard break a promise, for tests of what notices. */
  mutate(mutation: Mutation): void;
}

/** Starts the shards and listens. @throws when a port can't be had */
export async function startFront(options: {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  /** This process' number among those of the server. */
  readonly index: number;
  readonly hubPath: string | null;
  readonly log: Logger;
}): Promise<Front> {
  const { config, log, jwtSecret, index } = options;
  const app = uWS.App();
  const cpu = createCpuPool(config.passwordHash, (error) =>
    log.error({ event: 'cpu_pool_error', err: error }),
  );
  let ready = false;
  const parts: { links?: ShardLinks; sessions?: Sessions; transfer?: TransferLink } = {};
  const links = () => present(parts.links);
  const metrics = createFrontMetrics(() => ({
    sockets,
    links: links(),
    transfer: present(parts.transfer),
    ready,
  }));
  metrics.registry.setDefaultLabels({ process: String(index), thread: 'front' });
  const sockets = registerSockets(app, {
    config,
    links,
    metrics,
    sessions: () => present(parts.sessions),
    log,
    solo: config.redis === null && options.hubPath === null,
  });
  parts.links = startShards({ ...options, cpu, events: sockets.events });
  const transfer = startTransfer({ ...options, cpu });
  parts.transfer = transfer;
  parts.sessions = createSessions(jwtSecret, config.jwt.expirationMs);
  const database = () =>
    links()
      .stats()
      .every((stats) => stats?.database_up !== false);
  const redis = () =>
    config.redis === null
      ? null
      : links()
          .stats()
          .every((stats) => stats?.redis_up !== false);
  const health = { database, redis, storage: transfer.storageUp, ready: () => ready };
  registerHttp(app, {
    config,
    gateway: links(),
    transfer,
    sessions: parts.sessions,
    health,
    log,
    metrics,
  });
  await parts.sessions.whenReady;
  const main = await listen(app, config.server);
  ready = true;

  return {
    port: uWS.us_socket_local_port(main),
    async metrics() {
      return [await metrics.registry.getMetricsAsJSON(), ...(await links().metrics())];
    },
    setLogLevel(level) {
      log.level = level;
      transfer.setLogLevel(level);
      for (let shard = 0; shard < config.shards; shard++) links().tell(shard, { t: 'log_level', level });
    },
    async drain() {
      ready = false;
      uWS.us_listen_socket_close(main);
      sockets.bye();
      const late = new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref());
      await Promise.race([Promise.all([links().drain(), transfer.drain()]), late]);
      sockets.closeAll();
      await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
      await Promise.all([links().close(), transfer.close(), cpu.close()]);
      app.close();
    },
    crashShard: (shard) => links().tell(shard, { t: 'crash' }),
    mutate(mutation) {
      for (let shard = 0; shard < config.shards; shard++) links().tell(shard, { t: 'mutate', mutation });
    },
  };
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('used before the start');
  return part;
}

function listen(app: TemplatedApp, at: { host: string; port: number }): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    app.listen(at.host, at.port, (socket) => {
      if (socket) resolve(socket);
      else reject(new Error(`cannot listen on ${at.host}:${at.port}; is it in use?`));
    });
  });
}
