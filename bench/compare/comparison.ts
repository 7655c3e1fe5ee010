/** What the rounds gave, and the ratios between systems. A ratio is taken within a round, then over the rounds: median and range. */
import type { LoadResult } from '../load/result.js';

/** One run at a fixed rate. Undefined figures: the run couldn't be finished. */
export interface FixedRun {
  readonly round: number;
  readonly system: string;
  readonly rate: number;
  readonly keptUp: boolean;
  readonly loaderBound: boolean;
  readonly result: LoadResult | undefined;
}

/** One search. 0: no rate passed. */
export interface FoundRate {
  readonly round: number;
  readonly system: string;
  readonly highest: number;
  readonly loaderBound: boolean;
}

export interface Comparison {
  readonly fixed: readonly FixedRun[];
  readonly found: readonly FoundRate[];
}

/** Median and range of the rounds. */
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

/** `one` over `other`, round by round; rounds in which either is missing or zero are left out. */
export function ratioOf(
  rounds: number,
  one: (round: number) => number | undefined,
  other: (round: number) => number | undefined,
): Spread | undefined {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [above, below] = [one(round), other(round)];
    if (above !== undefined && below !== undefined && above > 0 && below > 0) ratios.push(above / below);
  }
  return spreadOf(ratios);
}
