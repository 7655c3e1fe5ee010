/**
 * How does what a message costs grow: with sockets, with the size of a room, with processes, with the table?
 * `npm run bench:curves -- --help`
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readMachineFacts } from '../load/machine.js';
import { resultsDirectory, writeJson } from '../load/result-files.js';
import { linePlot, svgFile } from '../load/svg-plot.js';
import { say } from '../load/terminal.js';
import { AXES, type Axis, measurePoint, type Point } from './load-axes.js';
import { measureRows, type RowsPoint } from './rows.js';

const USAGE = `npm run bench:curves -- [options]

Prints a table for each axis, and writes them with plots.

  --axis X       connections | room-size | nodes | rows; may be given several times (all)
  --seconds N    of load at each point (10)
  --rows N,N,…   sizes of the table of messages (100000,1000000,10000000)
  --times N      each statement at each size (500)
  --plans        EXPLAIN (ANALYZE, BUFFERS) of each statement at each size as well
  --results DIR  files go there (a new one in bench/results; none: no files)
  --help`;

const { values } = parseArgs({
  options: {
    axis: { type: 'string', multiple: true, default: [...AXES.map(({ name }) => name), 'rows'] },
    seconds: { type: 'string', default: '10' },
    rows: { type: 'string', default: '100000,1000000,10000000' },
    times: { type: 'string', default: '500' },
    plans: { type: 'boolean', default: false },
    results: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

interface Curve {
  readonly name: string;
  readonly table: string;
  readonly plots: readonly string[];
  readonly points: unknown;
  /** Text by file name. */
  readonly texts: Readonly<Record<string, string>>;
}

const ms = (value: number) => value.toFixed(value < 10 ? 2 : 1);
const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;

function tableOf(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = head.map((_, i) => (i === 0 ? '---' : '--:'));
  return [head, line, ...rows].map(row).join('\n');
}

/** Points lie evenly: the axes are of magnitudes. */
function plot(
  title: string,
  x: string,
  y: string,
  xs: readonly number[],
  series: Readonly<Record<string, number[]>>,
) {
  return linePlot({
    title,
    x,
    y,
    xTicks: xs.map((value, i) => [i, value.toLocaleString('en-US')] as const),
    series: Object.entries(series).map(([name, ys]) => ({
      name,
      points: ys.map((value, i) => [i, value] as const),
    })),
  });
}

async function loadCurve(axis: Axis): Promise<Curve> {
  const points: Point[] = [];
  for (const x of axis.xs) points.push(await measurePoint(axis, x, Number(values.seconds), say));
  const head = [
    'server, µs/message',
    'µs/delivery',
    'PostgreSQL, µs/message',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
    'check',
  ];
  const cells = points.map((point) => [
    point.x.toLocaleString('en-US'),
    point.serverMicros.toFixed(0),
    point.deliveryMicros.toFixed(1),
    point.postgresMicros.toFixed(0),
    ms(point.p50),
    ms(point.p99),
    (point.rss / 2 ** 20).toFixed(0),
    point.passed ? 'passed' : 'FAILED',
  ]);
  const cost = { server: points.map((p) => p.deliveryMicros) };
  const latency = { p50: points.map((p) => p.p50), p99: points.map((p) => p.p99) };
  return {
    name: axis.name,
    table: tableOf([axis.x, ...head], cells),
    plots: [
      plot(`CPU of a delivery by ${axis.x}`, axis.x, 'µs', axis.xs, cost),
      plot(`Delivery by ${axis.x}`, axis.x, 'ms', axis.xs, latency),
    ],
    points,
    texts: {},
  };
}

async function rowsCurve(): Promise<Curve> {
  const points: RowsPoint[] = await measureRows(
    values.rows.split(',').map(Number),
    Number(values.times),
    values.plans,
    say,
  );
  const names = Object.keys(points[0]?.statements ?? {});
  const cells = points.map(({ rows, statements }) => [
    rows.toLocaleString('en-US'),
    ...names.map(
      (name) => `${ms(statements[name]?.p50 ?? Number.NaN)} / ${ms(statements[name]?.p99 ?? Number.NaN)}`,
    ),
  ]);
  const p99 = names.map((name) => [
    name,
    points.map(({ statements }) => statements[name]?.p99 ?? Number.NaN),
  ]);
  return {
    name: 'rows',
    table: tableOf(['messages in the table', ...names.map((name) => `${name}, p50 / p99 ms`)], cells),
    plots: [
      plot(
        'p99 of statements by rows',
        'rows',
        'ms',
        points.map(({ rows }) => rows),
        Object.fromEntries(p99),
      ),
    ],
    points: points.map(({ rows, statements }) => ({ rows, statements })),
    texts: values.plans
      ? Object.fromEntries(points.map(({ rows, plans }) => [`plans-${rows}.txt`, plansText(plans)]))
      : {},
  };
}

function plansText(plans: RowsPoint['plans']): string {
  return Object.entries(plans)
    .map(([name, plan]) => `${name}\n${'='.repeat(name.length)}\n${plan}\n`)
    .join('\n');
}

async function main(): Promise<void> {
  const curves: Curve[] = [];
  for (const name of values.axis) {
    const axis = AXES.find((each) => each.name === name);
    if (axis === undefined && name !== 'rows') throw new RangeError(`--axis ${name}: unknown`);
    const curve = axis === undefined ? await rowsCurve() : await loadCurve(axis);
    curves.push(curve);
    console.log(`\n${curve.table}\n`);
    for (const text of Object.values(curve.texts)) console.log(text);
  }
  const directory = resultsDirectory(values.results, 'curves');
  if (directory !== undefined) {
    writeJson(join(directory, 'machine.json'), await readMachineFacts(undefined));
    writeJson(
      join(directory, 'curves.json'),
      curves.map(({ name, points }) => ({ name, points })),
    );
    for (const { name, plots, texts } of curves) {
      for (const [file, text] of Object.entries(texts)) writeFileSync(join(directory, file), text);
      for (const [i, svg] of plots.entries())
        writeFileSync(join(directory, `${name}-${i + 1}.svg`), svgFile(svg));
    }
    console.log(`files in ${directory}`);
  }
}

if (values.help) console.log(USAGE);
else await main();
