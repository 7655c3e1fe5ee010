/**
 * Where a run stands, and how that is drawn on one line of a terminal.
 *
 *   joining (sockets) ► warm-up ► measuring ► answers (the drain's first part) ► deliveries (its second), all by seconds
 */
import type { LoadOptions } from './options.js';

export interface Stage {
  readonly phase: 'joining' | 'warm-up' | 'measuring' | 'answers' | 'deliveries';
  readonly done: number;
  readonly total: number;
  readonly unit: 'sockets' | 's';
}

/** A stage with the rate of the last second. */
export interface ProgressBar extends Stage {
  readonly ackedPerSecond: number;
}

/** What has been reached so far, in microseconds of clock.ts. */
export interface Milestones {
  /** When the first message is due. */
  startMicros: number | undefined;
  /** When everything was sent and answered. */
  sentMicros: number | undefined;
}

type Times = Pick<LoadOptions, 'connections' | 'warmupSeconds' | 'seconds' | 'drainSeconds'>;

/** The stage at `nowMicros`. @param joined sockets that have joined their rooms. */
export function stageAt(times: Times, reached: Milestones, joined: number, nowMicros: number): Stage {
  const { startMicros, sentMicros } = reached;
  const { connections, warmupSeconds, seconds, drainSeconds } = times;
  if (startMicros === undefined)
    return { phase: 'joining', done: joined, total: connections, unit: 'sockets' };
  const timed = (phase: Stage['phase'], elapsed: number, total: number): Stage => ({
    phase,
    done: Math.min(total, Math.max(0, elapsed)),
    total,
    unit: 's',
  });
  if (sentMicros !== undefined) return timed('deliveries', (nowMicros - sentMicros) / 1e6, drainSeconds);
  const elapsed = (nowMicros - startMicros) / 1e6;
  if (elapsed < warmupSeconds) return timed('warm-up', elapsed, warmupSeconds);
  if (elapsed < warmupSeconds + seconds) return timed('measuring', elapsed - warmupSeconds, seconds);
  return timed('answers', elapsed - warmupSeconds - seconds, drainSeconds);
}

const MAX_CELLS = 40;
/** Fewer say nothing. */
const MIN_CELLS = 5;
const PHASE_WIDTH = 'deliveries'.length;

const figure = (value: number) => Math.round(value).toLocaleString('en-US');

/** One line that never reaches the last of `columns`, where a terminal would break it; without a bar where there is no room for one. */
export function drawProgress(bar: ProgressBar, columns: number): string {
  const head = `  ${bar.phase.padEnd(PHASE_WIDTH)} `;
  const unit = bar.unit === 's' ? ' s' : ` ${bar.unit}`;
  const tail = ` ${figure(bar.done)}/${figure(bar.total)}${unit}, ${figure(bar.ackedPerSecond)} acknowledged/s`;
  const room = columns - 1 - head.length - tail.length - '[]'.length;
  if (room < MIN_CELLS) return `${head.trimEnd()}${tail}`.slice(0, Math.max(0, columns - 1));
  const cells = Math.min(MAX_CELLS, room);
  const share = bar.total > 0 ? Math.min(1, bar.done / bar.total) : 1;
  const full = Math.floor(cells * share);
  return `${head}[${'#'.repeat(full)}${'-'.repeat(cells - full)}]${tail}`;
}
