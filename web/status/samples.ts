/** One reading of /metrics: a series' name and labels, and its value. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Reading {
  /** Milliseconds by this page's clock. */
  readonly at: number;
  readonly samples: readonly Sample[];
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g;

/** Reads Prometheus text; what isn't a series is left out. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const pairs = [...labels.matchAll(LABEL)].map(([, key, said]) => [key, said]);
    return [{ name, labels: Object.fromEntries(pairs), value: numberOf(value) }];
  });
}

export type Wanted = Readonly<Record<string, string>>;

/** Adds up the series of a name that have these labels. */
export function sum({ samples }: Reading, name: string, wanted: Wanted = {}): number {
  return seriesOf(samples, name, wanted).reduce((total, { value }) => total + value, 0);
}

/** By how much a counter grew a second. A restarted process counts from 0: that is never less than nothing. */
export function rate(from: Reading, to: Reading, name: string, wanted: Wanted = {}): number {
  const seconds = (to.at - from.at) / 1_000;
  return seconds <= 0 ? 0 : Math.max(0, sum(to, name, wanted) - sum(from, name, wanted)) / seconds;
}

/**
 * A quantile of what a histogram saw between two readings, in its unit, as precise as its buckets (by straight lines inside
 * one). Null where it saw nothing.
 */
export function quantile(from: Reading, to: Reading, name: string, q: number): number | null {
  const before = buckets(from, name);
  const counts = [...buckets(to, name)]
    .map(([le, count]) => [le, Math.max(0, count - (before.get(le) ?? 0))] as const)
    .sort(([a], [b]) => a - b);
  const total = counts.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  let low = 0;
  let below = 0;
  for (const [le, count] of counts) {
    if (count >= q * total) {
      return le === Number.POSITIVE_INFINITY
        ? low
        : low + ((le - low) * (q * total - below)) / (count - below);
    }
    low = le;
    below = count;
  }
  return low;
}

function buckets({ samples }: Reading, name: string): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { labels, value } of seriesOf(samples, `${name}_bucket`, {})) {
    const le = numberOf(labels.le ?? '');
    counts.set(le, (counts.get(le) ?? 0) + value);
  }
  return counts;
}

export function seriesOf(samples: readonly Sample[], name: string, wanted: Wanted): Sample[] {
  return samples.filter(
    (each) =>
      each.name === name && Object.entries(wanted).every(([label, value]) => each.labels[label] === value),
  );
}

const numberOf = (text: string): number => (text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text));
