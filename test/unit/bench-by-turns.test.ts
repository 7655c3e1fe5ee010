import { expect, test } from 'vitest';
import { costOf, type Turn, turnsOf } from '../../bench/metrics-cost/by-turns.js';

/** Cycles of on, off, off, on, with some noise that repeats, a drift, and more where it is on. */
const cycles = (count: number, more: number): Turn[] =>
  Array.from({ length: 4 * count }, (_, slot) => ({
    slot,
    cpu: (1_000 + slot + ((slot * 37) % 11)) * ([0, 3].includes(slot % 4) ? 1 + more : 1),
  }));

test('the cost is what the turns with metrics have more, and the control sees nothing of it', () => {
  const { cost, control, cycles: counted } = costOf(cycles(100, 0.02));
  expect(counted).toBe(100);
  expect(cost.percent).toBeCloseTo(2, 0);
  expect(Math.abs(cost.percent - 2)).toBeLessThan(cost.within + 0.05);
  expect(Math.abs(control.percent)).toBeLessThan(0.2);
});

test('cycles in which a turn is missing are left out', () => {
  const turns = cycles(10, 0.5).filter(({ slot }) => slot !== 6);
  expect(costOf(turns).cycles).toBe(9);
});

test('a log of the CPU so far gives the turns, but for those after a gap', () => {
  const log = [
    { slot: 7, cpu: 100 },
    { slot: 8, cpu: 130 },
    { slot: 10, cpu: 190 },
    { slot: 11, cpu: 215 },
  ];
  expect(turnsOf(`${log.map((line) => JSON.stringify(line)).join('\n')}\n`)).toEqual([
    { slot: 8, cpu: 30 },
    { slot: 11, cpu: 25 },
  ]);
});
