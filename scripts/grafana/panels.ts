/** What a dashboard is made of; `write.ts` turns it into Grafana's JSON. */
export interface Panel {
  readonly title: string;
  /** What it shows. */
  readonly shows: string;
  /** What to do when it is red. */
  readonly red: string;
  /** One of Grafana's units. */
  readonly unit: 'short' | 's' | 'bytes' | 'percentunit' | 'ops' | 'reqps';
  /** Legend → PromQL. A legend may name labels: `{{code}}`. */
  readonly queries: Readonly<Record<string, string>>;
  /** Red from here upwards, or downwards. Without either it is never red by itself. */
  readonly redAbove?: number;
  readonly redBelow?: number;
  /** One number instead of lines over time. */
  readonly stat?: true;
}

export interface Dashboard {
  /** File name and uid. */
  readonly name: string;
  readonly title: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

/** Window of rates: Grafana replaces it by at least four scrapes. */
const WINDOW = '$__rate_interval';

/** A series of the chosen instances, with further matchers. */
export function series(name: string, matchers = ''): string {
  return `${name}{instance=~"$instance"${matchers === '' ? '' : `,${matchers}`}}`;
}

export function rate(name: string, matchers = ''): string {
  return `rate(${series(name, matchers)}[${WINDOW}])`;
}

export function sumRate(name: string, by: string | null = null, matchers = ''): string {
  return `sum${by === null ? '' : ` by (${by})`} (${rate(name, matchers)})`;
}

/** A quantile of a histogram over all threads. */
export function quantile(q: number, name: string, options: { by?: string; matchers?: string } = {}): string {
  const by = options.by === undefined ? 'le' : `le, ${options.by}`;
  return `histogram_quantile(${q}, ${sumRate(`${name}_bucket`, by, options.matchers)})`;
}

/** The median and the slowest hundredth. */
export function medianAndTail(name: string): Record<string, string> {
  return { p50: quantile(0.5, name), p99: quantile(0.99, name) };
}
