/** k6's summary (as handleSummary gets it) as a table. */
import { asMembers, asNumber, asString } from '../load/frame-read.js';

export interface MetricRow {
  readonly name: string;
  readonly values: Readonly<Record<string, number>>;
  /** Undefined: the metric has no mark. */
  readonly passed: boolean | undefined;
}

/** Reads the metrics of a summary; those that k6 keeps for itself are left out. */
export function readSummary(summary: unknown): MetricRow[] {
  return Object.entries(asMembers(asMembers(summary).metrics)).flatMap(([name, entry]) => {
    const metric = asMembers(entry);
    if (asString(metric.type) === undefined) return [];
    const values: Record<string, number> = {};
    for (const [key, value] of Object.entries(asMembers(metric.values))) {
      const number = asNumber(value);
      if (number !== undefined) values[key] = number;
    }
    const thresholds = Object.values(asMembers(metric.thresholds)).map((mark) => asMembers(mark).ok === true);
    return [{ name, values, passed: thresholds.length === 0 ? undefined : thresholds.every(Boolean) }];
  });
}

const NAME_WIDTH = 42;
const CELL_WIDTH = 12;
const TREND_COLUMNS = ['med', 'p(90)', 'p(99)', 'p(99.9)', 'max', 'count'];

function figure(value: number | undefined): string {
  return value === undefined ? '' : value.toLocaleString('en-US', { maximumFractionDigits: 2 });
}

function row(name: string, cells: readonly string[], mark: string): string {
  return `  ${name.padEnd(NAME_WIDTH)}${cells.map((cell) => ` ${cell.padStart(CELL_WIDTH)}`).join('')}  ${mark}`.trimEnd();
}

function markOf(passed: boolean | undefined): string {
  if (passed === undefined) return '';
  return passed ? 'met' : 'MISSED';
}

/** Times in milliseconds, then counts and rates; each with whether its marks are met. */
export function formatSummary(rows: readonly MetricRow[]): string {
  const sorted = [...rows].sort((one, other) => one.name.localeCompare(other.name));
  const trends = sorted.filter(({ values }) => values.med !== undefined);
  const others = sorted.filter(({ values }) => values.med === undefined);
  return [
    row('', TREND_COLUMNS, ''),
    ...trends.map(({ name, values, passed }) =>
      row(
        name,
        TREND_COLUMNS.map((column) => figure(values[column])),
        markOf(passed),
      ),
    ),
    '',
    row('', ['count', 'per second', 'share'], ''),
    ...others.map(({ name, values, passed }) => {
      const isShare = values.passes !== undefined;
      const cells = [
        figure(values.count ?? values.passes ?? values.value),
        isShare ? '' : figure(values.rate),
        isShare ? figure(values.rate) : '',
      ];
      return row(name, cells, markOf(passed));
    }),
  ].join('\n');
}
