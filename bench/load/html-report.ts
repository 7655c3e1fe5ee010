/** A run, or a search, as one HTML file that needs nothing beside itself. */
import type { Histogram } from 'hdr-histogram-js';
import { formatReport, MIB } from './report.js';
import type { LoadResult, MergedRun } from './result.js';
import { escapeText, linePlot, type Series } from './svg-plot.js';

/** Percentiles of the latency curve: at equal distances they show the tail, which is what is looked for. */
const PERCENTILES = [10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; } svg .title { font-weight: 600; font-size: 13px; } svg .grid { stroke: currentColor; opacity: .15; }
pre { overflow-x: auto; font-size: 12px; } .failed { color: #d55e00; } .passed { color: #009e73; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884; }`;

/** A whole page. @param body HTML. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeText(title)}</title><style>${STYLE}</style></head>
<body><h1>${escapeText(title)}</h1>
${body}
</body></html>
`;
}

function curve(name: string, histogram: Histogram): Series {
  const points = PERCENTILES.map(
    (percentile, index) => [index, histogram.getValueAtPercentile(percentile) / 1_000] as const,
  );
  return { name, points: histogram.totalCount === 0 ? [] : points };
}

function plots({ result, ack, delivery }: MergedRun): string {
  const over = (pick: (point: LoadResult['timeline'][number]) => number | null) =>
    result.timeline.map((point) => [point.second, pick(point)] as const);
  return [
    linePlot({
      title: 'Latency by percentile',
      x: 'percentile',
      y: 'ms',
      xTicks: PERCENTILES.map((percentile, index) => [index, String(percentile)] as const),
      series: [curve('acknowledgement', ack), curve('delivery', delivery)],
    }),
    linePlot({
      title: 'Delivery over time',
      x: 'second of the measured time',
      y: 'ms',
      series: [
        { name: 'p50', points: over((point) => point.p50) },
        { name: 'p99', points: over((point) => point.p99) },
      ],
    }),
    linePlot({
      title: 'Messages over time',
      x: 'second of the measured time',
      y: 'per second',
      series: [
        { name: 'sent', points: over((point) => point.sent) },
        { name: 'acknowledged', points: over((point) => point.acked) },
      ],
    }),
    linePlot({
      title: 'Deliveries over time',
      x: 'second of the measured time',
      y: 'per second',
      series: [{ name: 'delivered', points: over((point) => point.delivered) }],
    }),
    ...memoryPlot(result),
  ].join('\n');
}

function memoryPlot({ usage }: LoadResult): string[] {
  if (usage.server === undefined) return [];
  const points = usage.server.rss.map(([second, bytes]) => [second, bytes / MIB] as const);
  return [
    linePlot({
      title: "The server's memory over time",
      x: 'second of the measured time',
      y: 'MiB resident',
      series: [{ name: 'RSS', points }],
    }),
  ];
}

/** The page of one run. */
export function runPage(run: MergedRun): string {
  const { result } = run;
  const verdict = `<p class="${result.verdict === 'passed' ? 'passed' : 'failed'}">${result.verdict}</p>`;
  return page(
    `Load run of ${result.startedAt}`,
    `${verdict}\n${plots(run)}\n<pre>${escapeText(formatReport(result))}</pre>`,
  );
}

/** The page of a search: latency over rate, then each step's summary. */
export function rampPage(highest: number, runs: readonly MergedRun[]): string {
  const sorted = runs.map(({ result }) => result).sort((one, other) => one.options.rate - other.options.rate);
  const plot = linePlot({
    title: 'Delivery by rate',
    x: 'messages a second',
    y: 'ms',
    series: [
      { name: 'p50', points: sorted.map(({ options, delivery }) => [options.rate, delivery.p50] as const) },
      { name: 'p99', points: sorted.map(({ options, delivery }) => [options.rate, delivery.p99] as const) },
    ],
  });
  const details = sorted.map(
    (result) =>
      `<details><summary>${Math.round(result.options.rate)} msg/s: p99 ${result.delivery.p99.toFixed(1)} ms, ${result.verdict}</summary>` +
      `<pre>${escapeText(formatReport(result))}</pre></details>`,
  );
  return page(`Highest rate: ${Math.round(highest)} messages a second`, `${plot}\n${details.join('\n')}`);
}
