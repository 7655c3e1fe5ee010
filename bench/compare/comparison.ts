/** What the rounds gave, and the ratios between systems. A ratio is taken within a round, then over the rounds: median and range. */
import type { LoadResult } from '../load/result.js';
import { type Spread, spreadOf } from '../load/spread.js';

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
