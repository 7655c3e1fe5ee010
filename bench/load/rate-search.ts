/**
 * Finds the highest rate that passes: doubles until one fails (or halves until one passes), then halves the gap, in ratios.
 *
 *   DOUBLING ── fails ──► NARROWING ── bounds closer than the resolution ──► found
 *   HALVING ── passes ────►┘      (halving gives up after MAX_HALVINGS: nothing passes)
 */

/** What one rate gave. */
export interface Step<T> {
  readonly rate: number;
  readonly passed: boolean;
  readonly outcome: T;
}

export interface Search<T> {
  /** 0: not even the lowest rate that was tried passed. */
  readonly highest: number;
  /** In the order in which they were tried. */
  readonly steps: readonly Step<T>[];
}

/** Below 1/64 of the first rate there is nothing to find. */
const MAX_HALVINGS = 6;

/** Above 64 times the first rate, the first rate was no sensible one. */
const MAX_DOUBLINGS = 6;

/**
 * @param attempt tries a rate.
 * @param resolution ends the search when the lowest failed rate is at most so many times the highest passed one.
 */
export async function findHighestRate<T>(
  first: number,
  resolution: number,
  attempt: (rate: number) => Promise<{ passed: boolean; outcome: T }>,
): Promise<Search<T>> {
  const steps: Step<T>[] = [];
  const passes = async (rate: number): Promise<boolean> => {
    const { passed, outcome } = await attempt(rate);
    steps.push({ rate, passed, outcome });
    return passed;
  };

  let low = first;
  let high = first;
  if (await passes(first)) {
    for (let doublings = 0; ; doublings += 1) {
      if (doublings === MAX_DOUBLINGS) return { highest: low, steps };
      high = low * 2;
      if (!(await passes(high))) break;
      low = high;
    }
  } else {
    for (let halvings = 0; ; halvings += 1) {
      if (halvings === MAX_HALVINGS) return { highest: 0, steps };
      low = high / 2;
      if (await passes(low)) break;
      high = low;
    }
  }
  while (high / low > resolution) {
    const middle = Math.round(Math.sqrt(high * low));
    if (middle <= low || middle >= high) break;
    if (await passes(middle)) low = middle;
    else high = middle;
  }
  return { highest: low, steps };
}
