import type { MetricObjectWithValues, MetricValue } from 'prom-client';

/** Every message between the supervisor and the processes that it runs (`npm start -- --processes N`). */

/** The figures of one thread, as prom-client gives them. */
export type ThreadMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

/** What a process is started with. Secrets come this way and not in its environment. */
export interface ProcessStart {
  /** From 0; names the process in logs and metrics. A restarted one keeps it. */
  readonly index: number;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  /** The public port that all of them share. */
  readonly port: number;
  /** Path of the socket that carries events between the processes; null where Redis does. */
  readonly hubPath: string | null;
}

export type ToProcess =
  | { readonly t: 'start'; readonly start: ProcessStart }
  | { readonly t: 'metrics'; readonly id: number }
  | { readonly t: 'log_level'; readonly level: string }
  | { readonly t: 'reload_tls' }
  | { readonly t: 'drain' };

export type FromProcess =
  | { readonly t: 'listening' }
  | { readonly t: 'metrics'; readonly id: number; readonly threads: readonly ThreadMetrics[] };
