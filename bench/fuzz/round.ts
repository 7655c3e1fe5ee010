/** Runs cases against a server until the time is over; a failing one is made as small as it gets. */
import fc from 'fast-check';
import { anyCase, type FuzzCase } from './cases.js';
import type { Target } from './target.js';

const CASES_PER_ROUND = 200; // between two looks at whether the server lives

export interface Finding {
  readonly fuzzCase: FuzzCase;
  readonly wrong: string;
}

export interface FuzzResult {
  readonly cases: number;
  readonly findings: readonly Finding[];
}

/** @param seed of the first round; every round takes the next */
export async function fuzz(
  target: Target,
  options: { readonly forMs: number; readonly seed: number; readonly found?: (finding: Finding) => void },
): Promise<FuzzResult> {
  const until = performance.now() + options.forMs;
  const findings: Finding[] = [];
  let cases = 0;
  for (let seed = options.seed; performance.now() < until; seed++) {
    const finding = await round(target, seed, () => cases++);
    if (finding === null) continue;
    findings.push(finding);
    options.found?.(finding);
    if (!(await target.alive())) break;
  }
  return { cases, findings };
}

async function round(target: Target, seed: number, count: () => void): Promise<Finding | null> {
  let wrong = '';
  const property = fc.asyncProperty(anyCase, async (fuzzCase) => {
    count();
    const verdict = await target.run(fuzzCase);
    if (verdict !== null) wrong = verdict;
    return verdict === null;
  });
  const result = await fc.check(property, { seed, numRuns: CASES_PER_ROUND });
  const fuzzCase = result.counterexample?.[0];
  if (fuzzCase !== undefined) return { fuzzCase, wrong };
  return (await target.alive())
    ? null
    : { fuzzCase: { kind: 'http', data: '' }, wrong: `not alive after ${seed}` };
}
