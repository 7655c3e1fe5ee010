/** A run's result as data: what `--json` writes and report.ts prints. */
import type { Histogram } from 'hdr-histogram-js';
import { createFaults, type FaultSummary } from './faults.js';
import { type LatencySummary, mergeEncoded, summarize } from './latency.js';
import type { MachineFacts } from './machine.js';
import type { LoaderReport } from './messages.js';
import type { LoadOptions } from './options.js';
import type { UsageReport } from './proc-stats.js';
import { mergeTimelines, type TimelinePoint } from './timeline.js';

/** `over_capacity`: nothing broke, but the server refused sends (`overloaded`, `unavailable`). */
export type Verdict = 'passed' | 'over_capacity' | 'failed';

export interface LoaderUsage {
  readonly loader: number;
  readonly cpuCores: number;
  readonly maxLoopDelayMs: number;
  readonly rssBytes: number;
}

export interface ServerMemory {
  /** Before the sockets were opened, and when all had joined. */
  readonly beforeBytes: number;
  readonly joinedBytes: number;
  /** At the end of the measured time. */
  readonly settledBytes: number;
  /** Slope over the second half of the sockets, so without what the first ones had warmed up; undefined: too few samples. */
  readonly marginalBytes: number | undefined;
}

export interface LoadResult {
  readonly verdict: Verdict;
  readonly startedAt: string;
  readonly options: LoadOptions;
  readonly machine: MachineFacts;
  /** Per second, in the measured window. */
  readonly rates: {
    readonly offered: number;
    readonly sent: number;
    readonly acked: number;
    readonly delivered: number;
  };
  /** Milliseconds. Send lag is the loader's own delay, a part of both latencies. */
  readonly ack: LatencySummary;
  readonly delivery: LatencySummary;
  readonly sendLag: LatencySummary;
  /** Messages that came by `resume` or `sync` or to slow readers, which are not part of `delivery`. */
  readonly late: LatencySummary;
  /** From a socket's beginning to come back until it was whole again. */
  readonly resume: LatencySummary;
  /** Over the whole run, warm-up included. */
  readonly totals: {
    readonly sent: number;
    readonly acked: number;
    readonly refused: number;
    readonly deliveries: number;
    /** By the rooms' heads, what all sockets together had to get; and what of it never came. */
    readonly expected: number;
    readonly lost: number;
    readonly reconnects: number;
    readonly failedReconnects: number;
    readonly refusedResumes: number;
    readonly resyncs: number;
    readonly healed: number;
    readonly overlaps: number;
    readonly scanned: number;
    readonly parsed: number;
  };
  readonly errorCodes: Readonly<Record<string, number>>;
  readonly otherFrames: Readonly<Record<string, number>>;
  readonly faults: readonly FaultSummary[];
  readonly loaders: readonly LoaderUsage[];
  readonly timeline: readonly TimelinePoint[];
  readonly usage: UsageReport;
  readonly serverMemory: ServerMemory | undefined;
  /** Undefined when the bench didn't start the server. */
  readonly server: { readonly exit: string; readonly warnings: number } | undefined;
}

/** Codes by which a server says that it is offered more than it can do. */
const OVERLOAD_CODES = new Set(['overloaded', 'unavailable']);

/** What a run knows at its end beside the loaders' reports. */
export interface RunFacts {
  readonly startedAt: string;
  readonly options: LoadOptions;
  readonly machine: MachineFacts;
  readonly usage: UsageReport;
  readonly serverMemory: ServerMemory | undefined;
  readonly server: LoadResult['server'];
}

export interface MergedRun {
  readonly result: LoadResult;
  readonly ack: Histogram;
  readonly delivery: Histogram;
}

/** The sum of counts by name. */
export function addCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

function verdictOf(
  faults: readonly FaultSummary[],
  errorCodes: Readonly<Record<string, number>>,
  allowOverload: boolean,
): Verdict {
  if (faults.length > 0) return 'failed';
  const overloaded = Object.keys(errorCodes).some((code) => OVERLOAD_CODES.has(code));
  return overloaded && !allowOverload ? 'over_capacity' : 'passed';
}

/** Puts the loaders' reports together and judges the run. */
export function mergeReports(reports: readonly LoaderReport[], facts: RunFacts): MergedRun {
  const { options, server } = facts;
  const sum = (pick: (report: LoaderReport) => number) =>
    reports.reduce((all, report) => all + pick(report), 0);
  const perSecond = (pick: (report: LoaderReport) => number) => sum(pick) / options.seconds;
  const faults = createFaults();
  for (const report of reports) faults.merge(report.faults);
  const errorCodes = addCounts(reports.map((report) => report.errorCodes));
  for (const [code, count] of Object.entries(errorCodes)) {
    if (!OVERLOAD_CODES.has(code)) faults.add('error_frame', () => `${count} with code ${code}`, count);
  }
  if (server !== undefined && server.exit !== '0')
    faults.add('server_exit', () => `the server ended with ${server.exit}`);
  const ack = mergeEncoded(reports.map((report) => report.ackLatency));
  const delivery = mergeEncoded(reports.map((report) => report.deliveryLatency));
  const result: LoadResult = {
    verdict: verdictOf(faults.summaries(), errorCodes, options.allowOverload),
    ...facts,
    rates: {
      offered: options.rate,
      sent: perSecond((report) => report.sentInWindow),
      acked: perSecond((report) => report.ackedInWindow),
      delivered: perSecond((report) => report.deliveredInWindow),
    },
    ack: summarize(ack),
    delivery: summarize(delivery),
    sendLag: summarize(mergeEncoded(reports.map((report) => report.sendLag))),
    late: summarize(mergeEncoded(reports.map((report) => report.lateLatency))),
    resume: summarize(mergeEncoded(reports.map((report) => report.resumeTime))),
    totals: {
      sent: sum((report) => report.sent),
      acked: sum((report) => report.acked),
      refused: sum((report) => report.refused),
      deliveries: sum((report) => report.checks.deliveries),
      expected: sum((report) => report.expected),
      lost: sum((report) => report.lost),
      reconnects: sum((report) => report.reconnects),
      failedReconnects: sum((report) => report.failedReconnects),
      refusedResumes: sum((report) => report.refusedResumes),
      resyncs: sum((report) => report.resyncs),
      healed: sum((report) => report.checks.healed),
      overlaps: sum((report) => report.checks.overlaps),
      scanned: sum((report) => report.scanned),
      parsed: sum((report) => report.parsed),
    },
    errorCodes,
    otherFrames: addCounts(reports.map((report) => report.otherFrames)),
    faults: faults.summaries(),
    loaders: reports.map(({ loader, cpuCores, maxLoopDelayMs, rssBytes }) => ({
      loader,
      cpuCores,
      maxLoopDelayMs,
      rssBytes,
    })),
    timeline: mergeTimelines(reports.map((report) => report.timeline)),
  };
  return { result, ack, delivery };
}
