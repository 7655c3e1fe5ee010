/** Prints a result for people. Every figure says its unit; what could not be had is n/a. */
import type { LatencySummary } from './latency.js';
import type { LoadResult } from './result.js';
import { spreadOf } from './spread.js';

export const MIB = 1_048_576;
const NAME_WIDTH = 22;

function line(name: string, text: string): string {
  return `  ${name.padEnd(NAME_WIDTH)}${text}`;
}

function number(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function megabytes(bytes: number): string {
  return `${number(bytes / MIB, 1)} MiB`;
}

function latencyLine(name: string, { count, p50, p90, p99, p999, max }: LatencySummary): string {
  if (count === 0) return line(name, 'n/a');
  return line(name, [p50, p90, p99, p999, max].map((value) => number(value, 2).padStart(10)).join(''));
}

function load(result: LoadResult): string[] {
  const { options } = result;
  const roomSize = (options.connections * options.roomsPerSocket) / options.rooms;
  const beside = [
    options.cutsPerSecond > 0 ? `${options.cutsPerSecond} sockets cut a second` : '',
    options.storm ? 'all sockets cut at once' : '',
    options.slowReaders > 0 ? `${options.slowReaders} slow readers` : '',
  ].filter(Boolean);
  return [
    line(
      'machine',
      `${result.machine.cpu}, ${result.machine.cores} cores, ${megabytes(result.machine.memoryBytes)}`,
    ),
    line(
      '',
      `${result.machine.system}, Node ${result.machine.node}, ${result.machine.postgres ?? 'PostgreSQL n/a'}, ` +
        `commit ${result.machine.commit ?? 'n/a'}`,
    ),
    line(
      'load',
      `${options.connections} sockets (${options.encoding}), ${options.rooms} rooms of ${number(roomSize, 1)} (${options.shape}), ${options.senders} senders, ` +
        `${options.payloadBytes} bytes, ${options.seconds} s after ${options.warmupSeconds} s, ${options.processes} loader(s), seed ${options.seed}`,
    ),
    ...(beside.length === 0 ? [] : [line('disturbed', beside.join(', '))]),
  ];
}

function arrived({ expected, lost }: LoadResult['totals']): string {
  if (expected === 0) return 'n/a';
  const share = ((expected - lost) / expected) * 100;
  return `${number(expected - lost)} of ${number(expected)} (${lost === 0 ? '100' : number(share, 6)} %), each sequence number checked`;
}

function traffic(result: LoadResult): string[] {
  const { rates, totals } = result;
  const headings = ['p50', 'p90', 'p99', 'p99.9', 'max'].map((heading) => heading.padStart(10)).join('');
  return [
    line('offered', `${number(rates.offered)} msg/s`),
    line('sent', `${number(rates.sent, 1)} msg/s`),
    line('acknowledged', `${number(rates.acked, 1)} msg/s`),
    line('delivered', `${number(rates.delivered, 1)} /s`),
    '',
    line('milliseconds', headings),
    latencyLine('acknowledgement', result.ack),
    latencyLine('delivery', result.delivery),
    ...(result.late.count === 0 ? [] : [latencyLine('late delivery', result.late)]),
    ...(result.resume.count === 0 ? [] : [latencyLine('resume', result.resume)]),
    latencyLine('(send lag of loader)', result.sendLag),
    '',
    line(
      'whole run',
      `${number(totals.sent)} sent, ${number(totals.acked)} acknowledged, ${number(totals.refused)} refused`,
    ),
    line(
      '',
      `${number(totals.deliveries)} deliveries checked, ${totals.resyncs} resyncs, ${totals.healed} healed`,
    ),
    line('arrived', arrived(totals)),
    ...(totals.reconnects === 0
      ? []
      : [
          line(
            'came back',
            `${number(totals.reconnects)} connections again, ${number(totals.failedReconnects)} of them in vain, ${number(totals.refusedResumes)} resumes put off` +
              (result.options.storm ? `; all whole ${number(result.resume.max)} ms after the storm` : ''),
          ),
        ]),
  ];
}

const LONG_SECONDS = 60;
const PARTS = 5;

/** The medians of as many parts of the measured time, of a run long enough to drift. */
function overTime({ options, timeline, usage: { server } }: LoadResult): string[] {
  if (options.seconds < LONG_SECONDS) return [];
  const told = (
    name: string,
    unit: string,
    digits: number,
    points: readonly (readonly [number, number])[],
  ) => {
    const parts = Array.from({ length: PARTS }, (_, part) => {
      const isIn = (second: number) => Math.floor((second / options.seconds) * PARTS) === part;
      const median = spreadOf(points.filter(([second]) => isIn(second)).map(([, value]) => value))?.median;
      return median === undefined ? 'n/a' : number(median, digits);
    });
    return line(name, `${parts.join(', ')} ${unit}`);
  };
  const latency = (of: 'p50' | 'p99') =>
    timeline.flatMap((point) => (point[of] === null ? [] : [[point.second, point[of]] as const]));
  const memory = (server?.rss ?? []).map(([second, bytes]) => [second, bytes / MIB] as const);
  return [
    line('by fifths of the time', 'medians of the slots'),
    told('delivery p50', 'ms', 1, latency('p50')),
    told('delivery p99', 'ms', 1, latency('p99')),
    told('server RSS', 'MiB', 1, memory),
  ];
}

function usage(result: LoadResult): string[] {
  const { server, threads, postgres, machine } = result.usage;
  const rows = [
    line(
      'server',
      server
        ? `${number(server.cores, 2)} cores (peak ${number(server.peakCores, 2)}), RSS ${megabytes(server.maxRss)}`
        : 'n/a',
    ),
    ...threads.map((thread) => line(`  ${thread.name} ${thread.tid}`, `${number(thread.cores, 3)} cores`)),
    line(
      'postgres',
      postgres
        ? `${number(postgres.cores, 2)} cores, ${postgres.memoryIs} ${megabytes(postgres.memory)} in ${postgres.processes} processes`
        : 'n/a',
    ),
    line(
      'whole machine',
      machine
        ? `${number(machine.cores, 2)} of ${result.machine.cores} cores busy, ${number(machine.stolen, 2)} stolen`
        : 'n/a',
    ),
  ];
  const memory = result.serverMemory;
  if (memory !== undefined) {
    const perSocket = (bytes: number) => (bytes - memory.beforeBytes) / result.options.connections / 1_024;
    rows.push(
      line(
        'server RSS',
        `${megabytes(memory.beforeBytes)} before the sockets, ${megabytes(memory.joinedBytes)} joined, ${megabytes(memory.settledBytes)} at the end`,
      ),
      line(
        'a socket',
        `${number(perSocket(memory.joinedBytes), 1)} KiB joined, ${result.options.idle ? `${number(perSocket(memory.settledBytes), 1)} KiB at the end, ` : ''}` +
          `${memory.marginalBytes === undefined ? 'n/a' : `${number(memory.marginalBytes / 1_024, 1)} KiB`} by the slope of the second half`,
      ),
    );
  }
  return rows;
}

function loaders(result: LoadResult): string[] {
  const cpu = result.loaders.reduce((sum, loader) => sum + loader.cpuCores, 0);
  const rows = result.loaders.map((loader) =>
    line(
      `loader ${loader.loader}`,
      `${number(loader.cpuCores, 2)} cores, event loop held ${number(loader.maxLoopDelayMs, 1)} ms at most, RSS ${megabytes(loader.rssBytes)}`,
    ),
  );
  rows.push(line('all loaders', `${number(cpu, 2)} cores`));
  if (result.rates.delivered > 0) {
    rows.push(
      line(
        'loader cost',
        `${number((cpu * 1e6) / result.rates.delivered, 2)} µs a delivery (sends included)`,
      ),
    );
  }
  return rows;
}

function codes(result: LoadResult): string[] {
  const text = Object.entries(result.errorCodes).map(([code, count]) => `${code} ${number(count)}`);
  return text.length === 0 ? [] : [line('error frames', text.join(', '))];
}

function verdict(result: LoadResult): string[] {
  const rows = result.faults.flatMap((fault) => [
    line(`FAULT ${fault.kind}`, number(fault.count)),
    ...fault.examples.map((example) => `      ${example}`),
  ]);
  if (result.server !== undefined) {
    rows.push(line('server exit', `${result.server.exit} (${result.server.warnings} warnings in its log)`));
  }
  const words = {
    passed: 'every acknowledged message was delivered to every member, once and in order',
    over_capacity: 'nothing was lost, but the server refused sends: over capacity',
    failed: 'see the faults above',
  };
  rows.push(line(result.verdict.toUpperCase(), words[result.verdict]));
  return rows;
}

/** The whole report, lines without a final newline. */
export function formatReport(result: LoadResult): string {
  const parts = [
    load(result),
    traffic(result),
    overTime(result),
    usage(result),
    loaders(result),
    [...codes(result), ...verdict(result)],
  ];
  return parts
    .filter((part) => part.length > 0)
    .map((part) => part.join('\n'))
    .join('\n\n');
}
