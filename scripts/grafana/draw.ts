import type { Panel } from './panels.js';

/** One line of a panel: its name, and seconds since the epoch with values. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [time: number, value: number])[];
}

const WIDTH = 640;
const HEIGHT = 260;
const PLOT = { left: 70, right: WIDTH - 16, top: 44, bottom: HEIGHT - 62 };
const COLOURS = ['#2563eb', '#d97706', '#059669', '#db2777', '#7c3aed', '#0891b2', '#65a30d', '#475569'];
const FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const LEGEND_MAX = 8;

/** A panel as SVG, drawn of what Prometheus answered; the red line is the panel's threshold where it is in view. */
export function drawPanel(panel: Panel, lines: readonly Line[], caption: string): string {
  const all = lines.flatMap(({ points }) => points).filter(([, value]) => Number.isFinite(value));
  const times = all.map(([time]) => time);
  const from = Math.min(...times);
  const to = Math.max(...times, from + 1);
  const one = panel.unit === 'bytes' ? 1_048_576 : 1;
  const top = niceCeiling(Math.max(...all.map(([, value]) => value), Number.EPSILON) / one) * one;
  const x = (time: number) => PLOT.left + ((time - from) / (to - from)) * (PLOT.right - PLOT.left);
  const y = (value: number) => PLOT.bottom - (value / top) * (PLOT.bottom - PLOT.top);
  const red = panel.redAbove ?? panel.redBelow;

  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(top * share).toFixed(1);
    return `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}" stroke="#e2e8f0"/>
  <text x="${PLOT.left - 8}" y="${at}" dy="4" text-anchor="end" font-size="11" fill="#64748b">${shown(top * share, panel.unit)}</text>`;
  });
  const clock = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const seconds = Math.round((to - from) * share);
    const at = x(from + (to - from) * share).toFixed(1);
    return `<text x="${at}" y="${PLOT.bottom + 16}" text-anchor="middle" font-size="11" fill="#64748b">${seconds} s</text>`;
  });
  const drawn = lines.map(({ points }, i) => {
    const path = points
      .filter(([, value]) => Number.isFinite(value))
      .map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${colour(i)}" stroke-width="1.8" stroke-linejoin="round"/>`;
  });
  const legend = lines.slice(0, LEGEND_MAX).map(({ name }, i) => {
    const at = PLOT.left + (i % 4) * 142;
    const row = HEIGHT - 28 + Math.floor(i / 4) * 16;
    return `<rect x="${at}" y="${row - 8}" width="9" height="9" rx="2" fill="${colour(i)}"/>
  <text x="${at + 14}" y="${row}" font-size="11" fill="#334155">${escaped(name)}</text>`;
  });
  const threshold =
    red !== undefined && red <= top
      ? `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(red).toFixed(1)}" y2="${y(red).toFixed(1)}" stroke="#dc2626" stroke-dasharray="5 4"/>`
      : '';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(panel.title)}" font-family="${FONT}">
  <rect width="${WIDTH}" height="${HEIGHT}" rx="8" fill="#ffffff" stroke="#cbd5e1"/>
  <text x="16" y="24" font-size="14" font-weight="600" fill="#0f172a">${escaped(panel.title)}</text>
  <text x="${PLOT.right}" y="24" text-anchor="end" font-size="11" fill="#64748b">${escaped(caption)}</text>
  ${[...grid, ...clock, threshold, ...drawn, ...legend].filter((part) => part !== '').join('\n  ')}
</svg>
`;
}

function colour(i: number): string {
  return COLOURS[i % COLOURS.length] ?? '#475569';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** 1, 2, 4, 5 or 10 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return (([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power) as number;
}

function shown(value: number, unit: Panel['unit']): string {
  const trim = (number: number) => String(Number(number.toPrecision(3)));
  switch (unit) {
    case 's':
      return value < 1 ? `${trim(value * 1_000)} ms` : `${trim(value)} s`;
    case 'bytes':
      return `${trim(value / 1_048_576)} MiB`;
    case 'percentunit':
      return `${trim(value * 100)} %`;
    default:
      return value >= 10_000 ? `${trim(value / 1_000)}k` : trim(value);
  }
}
