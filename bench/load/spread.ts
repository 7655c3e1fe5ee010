/** Median and range of some figures, as of the rounds of a bench. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** @returns undefined where there is nothing to tell. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] as number;
  const high = sorted[Math.floor(middle)] as number;
  return {
    median: (low + high) / 2,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    count: sorted.length,
  };
}
