/** What a suite gave, and whether it met its marks. */
import type { Suite } from './suites.js';

/** `absent`: the server has no such route, which is told, but is no miss. */
export type Verdict = 'met' | 'missed' | 'absent';

/** Response times in milliseconds. */
export interface Figures {
  readonly requests: number;
  /** Answers a second. */
  readonly rate: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly errors: number;
  readonly not2xx: number;
  /** Of these how many, by status. */
  readonly refusals: Readonly<Record<string, number>>;
}

export interface Outcome {
  readonly suite: string;
  readonly offered: number;
  readonly connections: number;
  readonly figures: Figures | undefined;
  readonly verdict: Verdict;
  /** Why it was missed, a phrase each. */
  readonly misses: readonly string[];
}

/** Below this share of the offered rate the response times are those of a smaller load. */
const MIN_SHARE_OF_RATE = 0.95;

/** Judges a suite. @param figures undefined: the route answered 404. */
export function judge(suite: Suite, figures: Figures | undefined): Outcome {
  const common = { suite: suite.name, offered: suite.rate, connections: suite.connections, figures };
  if (figures === undefined) return { ...common, verdict: 'absent', misses: [] };
  const misses = [
    figures.requests === 0 ? 'nothing was answered' : '',
    figures.p50 < suite.marks.p50 ? '' : `p50 ${figures.p50} ms, the mark is below ${suite.marks.p50}`,
    figures.p99 < suite.marks.p99 ? '' : `p99 ${figures.p99} ms, the mark is below ${suite.marks.p99}`,
    figures.rate >= suite.rate * MIN_SHARE_OF_RATE ? '' : `${figures.rate} answers a second of ${suite.rate}`,
    figures.errors === 0 ? '' : `${figures.errors} connection errors or time-outs`,
    figures.not2xx === 0
      ? ''
      : `${figures.not2xx} answers that were no success (${listed(figures.refusals)})`,
  ].filter((miss) => miss !== '');
  return { ...common, verdict: misses.length === 0 ? 'met' : 'missed', misses };
}

function listed(refusals: Figures['refusals']): string {
  return Object.entries(refusals)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ');
}

const COLUMNS = ['offered/s', 'answered/s', 'p50', 'p90', 'p99', 'max', 'errors', 'not 2xx'];
const NAME_WIDTH = 10;
const CELL_WIDTH = 12;

function row(name: string, cells: readonly (string | number)[], verdict: string): string {
  return `  ${name.padEnd(NAME_WIDTH)}${cells.map((cell) => String(cell).padStart(CELL_WIDTH)).join('')}  ${verdict}`;
}

/** A table, response times in milliseconds, with what was missed below it. */
export function formatOutcomes(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ suite, offered, figures, verdict }) => {
    const cells =
      figures === undefined
        ? [offered, ...COLUMNS.slice(1).map(() => 'n/a')]
        : [
            offered,
            figures.rate,
            figures.p50,
            figures.p90,
            figures.p99,
            figures.max,
            figures.errors,
            figures.not2xx,
          ];
    return row(suite, cells, verdict);
  });
  const misses = outcomes.flatMap(({ suite, misses }) => misses.map((miss) => `  ${suite}: ${miss}`));
  return [row('ms', COLUMNS, ''), ...rows, ...(misses.length === 0 ? [] : ['', ...misses])].join('\n');
}
