/** Line plots as SVG text: no script, no network, readable in a light and a dark browser. */

export interface Series {
  readonly name: string;
  /** Null: no value here, the line is broken. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Labels for the x axis where the numbers aren't what should be read. */
  readonly xTicks?: readonly (readonly [x: number, label: string])[];
  readonly series: readonly Series[];
}

const WIDTH = 860;
const HEIGHT = 280;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 45;
const GRID_LINES = 5;

/** Told apart by people who see red and green alike (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'];

/** Escapes text for HTML and SVG. */
export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** The next of 1, 2, 5, 10, 20, 50 … from `value` up. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

function label(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 });
}

const FILE_STYLE =
  'text { fill: #0f172a } .title { font-weight: 600; font-size: 13px } .grid { stroke: #0f172a; opacity: .15 }';

/** An `<svg>` element as a file that stands by itself, on white. */
export function svgFile(svg: string): string {
  const root = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="11"`;
  return svg
    .replace('<svg', root)
    .replace('>', `>\n<style>${FILE_STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>`);
}

/** @returns an `<svg>` element. */
export function linePlot(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points);
  const xs = points.map(([x]) => x);
  const minX = Math.min(0, ...xs);
  const maxX = Math.max(minX + 1e-9, ...xs);
  const maxY = niceCeiling(Math.max(0, ...points.map(([, y]) => y ?? 0)));
  const xAt = (x: number) => LEFT + ((x - minX) / (maxX - minX)) * (WIDTH - LEFT - RIGHT);
  const yAt = (y: number) => HEIGHT - BOTTOM - (y / maxY) * (HEIGHT - TOP - BOTTOM);
  const at = (value: number) => value.toFixed(1);

  const grid = Array.from({ length: GRID_LINES + 1 }, (_, index) => (maxY * index) / GRID_LINES).map(
    (y) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(yAt(y))}" y2="${at(yAt(y))}"/>` +
      `<text x="${LEFT - 6}" y="${at(yAt(y) + 4)}" text-anchor="end">${label(y)}</text>`,
  );
  const ticks =
    plot.xTicks ??
    Array.from({ length: GRID_LINES + 1 }, (_, index) => minX + ((maxX - minX) * index) / GRID_LINES).map(
      (x) => [x, label(x)] as const,
    );
  const xLabels = ticks.map(
    ([x, text]) =>
      `<text x="${at(xAt(x))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${escapeText(text)}</text>`,
  );
  const lines = plot.series.map((series, index) => {
    let pen = 'M';
    const path = series.points.map(([x, y]) => {
      if (y === null) {
        pen = 'M';
        return '';
      }
      const step = `${pen}${at(xAt(x))} ${at(yAt(y))}`;
      pen = 'L';
      return step;
    });
    const colour = COLOURS[index % COLOURS.length] as string;
    const legend = LEFT + index * 150;
    return (
      `<path fill="none" stroke="${colour}" stroke-width="1.8" d="${path.join('')}"/>` +
      `<line x1="${legend}" x2="${legend + 18}" y1="${TOP - 14}" y2="${TOP - 14}" stroke="${colour}" stroke-width="3"/>` +
      `<text x="${legend + 23}" y="${TOP - 10}">${escapeText(series.name)}</text>`
    );
  });
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeText(plot.title)}">`,
    `<text class="title" x="${LEFT}" y="14">${escapeText(plot.title)}</text>`,
    ...grid,
    ...xLabels,
    ...lines,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">${escapeText(plot.x)}</text>`,
    `<text x="4" y="${TOP - 10}">${escapeText(plot.y)}</text>`,
    '</svg>',
  ].join('\n');
}
