import { startHub } from './bus/local-hub.js';
import { loadConfig, readDotEnv } from './config.js';
import { startFront } from './front/front.js';
import { startHost } from './host.js';
import type { ThreadMetrics } from './ipc/process-messages.js';
import { freePort } from './lib/free-port.js';
import { createLogger, isLogLevel, nextLogLevel } from './observability/logger.js';
import { serveMetrics } from './observability/metrics-server.js';
import { serveAsChild, takeFaults } from './serve.js';
import { UnknownSearchLanguage } from './store/search-language.js';
import { supervise } from './supervisor.js';

/**
 * The server's start and end.
 *
 *   settings ──► lock on DATA_DIR ──► database (embedded or given) ──► migrations ──► shards ──► listening
 *   SIGHUP ──► the certificate is read anew
 *   SIGTERM or SIGINT ──► drained ──► database stopped ──► lock released ──► exit 0
 */
const EXIT_CONFIG = 78; // EX_CONFIG of sysexits(3)
const EXIT_DEADLINE_MS = 4_800; // of the five seconds for everything: what hangs then is left

/** What serves, whether it is this process or several under it. */
interface Serving {
  readonly port: number;
  metrics(): Promise<readonly ThreadMetrics[]>;
  setLogLevel(level: string): void;
  reloadTls(): void;
  drain(): Promise<void>;
}

readDotEnv();
const loaded = loadConfig(process.env, process.argv.slice(2));
if (!loaded.ok) {
  for (const mistake of loaded.mistakes) process.stderr.write(`${mistake}\n`);
  process.exit(EXIT_CONFIG);
}
const { config } = loaded;
const log = createLogger(config.logLevel, {});
if (process.env.PARLEY_CHILD === '1') serveAsChild(config, log, (code) => process.exit(code));
else {
  const running = start();
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ event: 'draining', signal });
      setTimeout(() => {
        log.error({ event: 'drain_timed_out' });
        process.exit(1);
      }, EXIT_DEADLINE_MS).unref();
      running.then((stop) => stop()).catch(fail);
    });
  }
  running.catch(fail);
}

/** Starts everything. @returns what stops it again */
async function start(): Promise<() => Promise<void>> {
  const host = await startHost(config, log);
  try {
    const serving = await serve(host);
    const setLogLevel = (level: string): boolean => {
      if (!isLogLevel(level)) return false;
      log.level = level;
      serving.setLogLevel(level);
      log.warn({ event: 'log_level_changed', to: level });
      return true;
    };
    if (config.tls !== null) process.on('SIGHUP', () => void serving.reloadTls());
    process.on('SIGUSR2', () => setLogLevel(nextLogLevel(log.level)));
    const metrics = await serveMetrics({
      ...config.metrics,
      collect: serving.metrics,
      logLevel: { get: () => log.level, set: setLogLevel },
    });
    log.info({
      event: 'listening',
      host: config.server.host,
      port: serving.port,
      metrics_port: metrics.port,
      pid: process.pid,
    });
    return async () => {
      await serving.drain();
      metrics.close();
      await host.stop();
      log.info({ event: 'stopped' });
      process.exit(0);
    };
  } catch (error) {
    await host.stop();
    throw error;
  }
}

async function serve(host: Awaited<ReturnType<typeof startHost>>): Promise<Serving> {
  const port = await freePort(config.server);
  if (config.processes === 1) {
    const front = await startFront({
      config: { ...config, server: { ...config.server, port } },
      ...host,
      index: 0,
      hubPath: null,
      log,
    });
    if (process.env.PARLEY_TEST_FAULTS === '1' && config.nodeEnv === 'test') takeFaults(front);
    return front;
  }
  const hub = config.redis === null ? await startHub() : null;
  const supervisor = await supervise({
    port,
    processes: config.processes,
    host,
    hubPath: hub?.path ?? null,
    log,
  });
  return {
    ...supervisor,
    async drain() {
      await supervisor.drain();
      hub?.close();
    },
  };
}

function fail(error: unknown): void {
  if (error instanceof UnknownSearchLanguage) {
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
  log.fatal({ event: 'failed', err: error });
  process.exit(1);
}
