/** The comparison as text. */
import { type Spread, spreadOf } from '../load/spread.js';
import { type Comparison, ratioOf } from './comparison.js';

const NAME_WIDTH = 18;
const CELL_WIDTH = 22;

function cells(name: string, values: readonly string[]): string {
  return `  ${name.padEnd(NAME_WIDTH)}${values.map((value) => value.padStart(CELL_WIDTH)).join('')}`;
}

function figure(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}

function spread(of: Spread | undefined): string {
  if (of === undefined) return 'n/a';
  return `${figure(of.median)} (${figure(of.min)}–${figure(of.max)})`;
}

interface Shape {
  readonly systems: readonly string[];
  readonly rates: readonly number[];
  readonly rounds: number;
  readonly p99LimitMs: number;
}

function fixedTable({ fixed }: Comparison, { systems, rounds }: Shape, rate: number): string[] {
  const runsOf = (system: string) =>
    fixed.filter((run) => run.system === system && run.rate === rate).flatMap((run) => run.result ?? []);
  const kept = (system: string) =>
    fixed.filter((run) => run.system === system && run.rate === rate && run.keptUp).length;
  return [
    `${figure(rate)} messages a second`,
    cells('', [
      'delivery p50, ms',
      'delivery p99, ms',
      'server, cores',
      'postgres, cores',
      'loader, cores',
      'rounds kept up',
    ]),
    ...systems.map((system) => {
      const runs = runsOf(system);
      const loaderCores = runs.map((run) => run.loaders.reduce((sum, loader) => sum + loader.cpuCores, 0));
      return cells(system, [
        spread(spreadOf(runs.map((run) => run.delivery.p50))),
        spread(spreadOf(runs.map((run) => run.delivery.p99))),
        spread(spreadOf(runs.flatMap((run) => run.usage.server?.cores ?? []))),
        spread(spreadOf(runs.flatMap((run) => run.usage.postgres?.cores ?? []))),
        spread(spreadOf(loaderCores)),
        `${kept(system)} of ${rounds}`,
      ]);
    }),
  ];
}

function foundTable({ found }: Comparison, { systems, p99LimitMs }: Shape): string[] {
  if (found.length === 0) return [];
  return [
    `highest rate with p99 delivery below ${p99LimitMs} ms, messages a second`,
    ...systems.map((system) => {
      const rates = found.filter((one) => one.system === system);
      const bound = rates.filter((one) => one.loaderBound).length;
      const note = bound === 0 ? '' : `${bound} loader-bound`;
      return cells(system, [spread(spreadOf(rates.map((one) => one.highest))), note]);
    }),
  ];
}

function ratioTable({ fixed, found }: Comparison, { systems, rates, rounds }: Shape): string[] {
  const [first, ...others] = systems;
  if (first === undefined || others.length === 0) return [];
  const highest = (system: string) => (round: number) =>
    found.find((one) => one.system === system && one.round === round)?.highest;
  const p99 = (system: string, rate: number) => (round: number) =>
    fixed.find((run) => run.system === system && run.round === round && run.rate === rate)?.result?.delivery
      .p99;
  return [
    `ratios of ${first} to others, median of the rounds (range)`,
    cells('', ['highest rate', ...rates.map((rate) => `p99 at ${figure(rate)}/s`)]),
    ...others.map((other) =>
      cells(`${first} / ${other}`, [
        spread(ratioOf(rounds, highest(first), highest(other))),
        ...rates.map((rate) => spread(ratioOf(rounds, p99(first, rate), p99(other, rate)))),
      ]),
    ),
  ];
}

/** All tables. Each figure is the median of the rounds, its range in parentheses. */
export function formatComparison(comparison: Comparison, shape: Shape): string {
  return [
    ...shape.rates.map((rate) => fixedTable(comparison, shape, rate)),
    foundTable(comparison, shape),
    ratioTable(comparison, shape),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}
