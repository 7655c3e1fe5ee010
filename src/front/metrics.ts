import type { TemplatedApp } from 'uWebSockets.js';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ShardLinks } from './shard-links.js';
import type { Sockets } from './sockets.js';

/** Registers `/metrics`, and nothing else, on the app of METRICS_PORT. Values are read when scraped. */
export function registerMetrics(app: TemplatedApp, sockets: Sockets, links: ShardLinks): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const total = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const sum = (pick: (stats: NonNullable<ReturnType<ShardLinks['stats']>[number]>) => number) =>
    links.stats().reduce((all, stats) => all + (stats === null ? 0 : pick(stats)), 0);

  new Gauge({
    name: 'parley_websocket_connections',
    help: 'Open WebSockets by encoding.',
    labelNames: ['encoding'],
    registers,
    collect() {
      const { json, msgpack } = sockets.counts();
      this.set({ encoding: 'json' }, json);
      this.set({ encoding: 'msgpack' }, msgpack);
    },
  });
  new Gauge({
    name: 'parley_topics',
    help: 'Rooms that sockets of this process have joined.',
    registers,
    collect() {
      this.set(sockets.counts().topics);
    },
  });
  new Gauge({
    name: 'parley_users_present',
    help: 'Users who are shown as online or away.',
    registers,
    collect() {
      this.set(sockets.counts().present);
    },
  });
  new Counter({
    name: 'parley_websocket_closes_total',
    help: 'Closed WebSockets by close code.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of sockets.closes) this.inc({ code: String(code) }, count);
    },
  });
  total('parley_websocket_frames_received_total', 'Frames from clients.', () => sockets.totals.framesIn);
  total('parley_resyncs_total', 'Sockets told that they missed events.', () => sockets.totals.resyncs);
  total('parley_messages_committed_total', 'Messages committed since their shard started.', () =>
    sum((stats) => stats.messages_committed),
  );
  total('parley_commit_batches_total', 'Insert statements since their shard started.', () =>
    sum((stats) => stats.batches),
  );
  total('parley_gaps_filled_total', 'Events read from the log because nobody told of them.', () =>
    sum((stats) => stats.gaps_filled),
  );
  new Gauge({
    name: 'parley_shard_utilization_ratio',
    help: 'Share of the last second that a shard was busy; absent while it restarts.',
    labelNames: ['shard'],
    registers,
    collect() {
      this.reset();
      links.stats().forEach((stats, shard) => {
        if (stats !== null) this.set({ shard: String(shard) }, stats.utilization);
      });
    },
  });

  app.get('/metrics', (res) => {
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
    });
    void registry.metrics().then((text) => {
      if (aborted) return;
      res.cork(() => res.writeHeader('content-type', registry.contentType).end(text));
    });
  });
  app.any('/*', (res) => {
    res.writeStatus('404 Not Found').end();
  });
}
