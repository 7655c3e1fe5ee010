import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js';
import type { Config } from '../config.js';
import { checkTlsFiles } from '../config-tls.js';
import type { Mutation } from '../ipc/messages.js';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import type { Logger } from '../observability/logger.js';
import { metricsOf } from '../observability/thread-metrics.js';
import { createAddressBlocks } from './address-blocks.js';
import { answerPolicy } from './answer-policy.js';
import { createCpuPool } from './cpu-pool.js';
import { createHttp } from './http-server.js';
import { createFrontMetrics } from './metrics.js';
import { createSessions, type Sessions } from './sessions.js';
import { type ShardLinks, startShards } from './shard-links.js';
import { createSockets } from './sockets.js';
import { startTransfer, type TransferLink } from './transfer-link.js';
import { createUnreadAnswers } from './unread-answers.js';
import { uWS } from './uws.js';

const DRAIN_MS = 3_000; // of the five seconds in which a drained server is gone (seed §13.2)
const RELOADS_MAX = 1_000; // each keeps a context of TLS, some 100 KB, until the server ends
const LINGER_MS = 200; // for close frames to leave

export interface Front {
  readonly port: number;
  /** The figures of the front, and of every other thread that answers in time. */
  metrics(): Promise<readonly ThreadMetrics[]>;
  setLogLevel(level: string): void;
  /** Shows new connections the certificate that is in the files now; those that stand keep theirs. */
  reloadTls(): Promise<void>;
  /** Not ready → no new sockets → `bye` → what is under way ends → 1012. Within four seconds. */
  drain(): Promise<void>;
  /** Crashes a shard's thread, for tests of what then happens. */
  crashShard(shard: number): void;
  /** Crashes the transfer thread, for the same. */
  crashTransfer(): void;
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
  const makeApp = (): TemplatedApp =>
    config.tls === null
      ? uWS.App()
      : uWS.SSLApp({ cert_file_name: config.tls.certFile, key_file_name: config.tls.keyFile });
  let ready = false;
  const parts: { links?: ShardLinks; sessions?: Sessions; transfer?: TransferLink } = {};
  const links = () => present(parts.links);
  const metrics = createFrontMetrics(() => ({
    sockets,
    links: links(),
    transfer: present(parts.transfer),
    cpu,
    sessions: present(parts.sessions),
    unread,
    ready,
  }));
  metrics.registry.setDefaultLabels({ process: String(index), thread: 'front' });
  const cpu = createCpuPool({
    cost: config.passwordHash,
    onError: (error) => log.error({ event: 'cpu_pool_error', err: error }),
    done: metrics.cpuTask,
  });
  const blocks = createAddressBlocks();
  const unread = createUnreadAnswers(() => metrics.limited('answers'));
  const policy = answerPolicy(config, unread);
  const sockets = createSockets({
    config,
    links,
    metrics,
    blocks,
    policy,
    sessions: () => present(parts.sessions),
    log,
    solo: config.redis === null && options.hubPath === null,
  });
  parts.links = startShards({ ...options, cpu, events: sockets.events, stage: metrics.stage });
  const transfer = startTransfer({ ...options, cpu });
  parts.transfer = transfer;
  parts.sessions = createSessions([jwtSecret, ...config.jwt.previousSecrets], config.jwt.expirationMs);
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
  const registerHttp = createHttp({
    config,
    gateway: links(),
    transfer,
    sessions: parts.sessions,
    blocks,
    health,
    log,
    metrics,
    policy,
  });
  const apps: TemplatedApp[] = [];
  /** An app that serves everything, on the given port. */
  async function open(port: number): Promise<us_listen_socket> {
    const app = makeApp();
    sockets.attach(app);
    registerHttp(app);
    const listening = await listen(app, { ...config.server, port });
    apps.push(app);
    return listening;
  }
  function cpuMetrics(): Promise<ThreadMetrics[]> {
    const told = cpu.figures();
    return Promise.all(told.map(([thread, of]) => metricsOf({ process: String(index), thread }, of)));
  }
  await parts.sessions.whenReady;
  let main = await open(config.server.port);
  const port = uWS.us_socket_local_port(main);
  ready = true;

  return {
    port,
    async metrics() {
      const others = await Promise.all([links().metrics(), transfer.metrics(), cpuMetrics()]);
      return [await metrics.registry.getMetricsAsJSON(), ...others.flat()];
    },
    setLogLevel(level) {
      log.level = level;
      transfer.setLogLevel(level);
      for (let shard = 0; shard < config.shards; shard++) links().tell(shard, { t: 'log_level', level });
    },
    async reloadTls() {
      if (config.tls === null || !ready) return;
      if (apps.length > RELOADS_MAX)
        return log.error({ event: 'tls_not_reloaded', reason: 'too many reloads' });
      try {
        checkTlsFiles(config.tls);
        const next = await open(port);
        uWS.us_listen_socket_close(main);
        main = next;
        log.info({ event: 'tls_reloaded' });
      } catch (error) {
        log.error({ event: 'tls_not_reloaded', err: error });
      }
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
      for (const app of apps) app.close();
    },
    crashShard: (shard) => links().tell(shard, { t: 'crash' }),
    crashTransfer: () => transfer.crash(),
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
