/** What counting and timing costs, by a server that does it by turns: the CPU of the turns with and without, of the same run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Say } from '../load/measure.js';
import type { LoadOptions } from '../load/options.js';
import { runLoad } from '../load/run.js';
import { CYCLE, isOnIn, slotAt } from './switched/slots.js';
import { makeSwitched } from './variants.js';

const CYCLES_MIN = 3;

export interface Turn {
  readonly slot: number;
  /** Of the server in it, µs. */
  readonly cpu: number;
}

/** Percent of the CPU without metrics. */
export interface Cost {
  readonly percent: number;
  /** Half of the 95 % confidence interval. */
  readonly within: number;
}

export interface CostByTurns {
  readonly cost: Cost;
  /** The same of the odd and the even turns, which don't differ: about what the measure shows where there is nothing. */
  readonly control: Cost;
  readonly cycles: number;
  /** µs. */
  readonly cpuOfMessage: number;
}

/** The CPU of each turn, but for those after one that is missing, from a log of the CPU so far at each turn's end. */
export function turnsOf(log: string): Turn[] {
  const ends = log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { slot: number; cpu: number });
  return ends.flatMap(({ slot, cpu }, i) => {
    const before = ends[i - 1];
    return before?.slot === slot - 1 ? [{ slot, cpu: cpu - before.cpu }] : [];
  });
}

/** @param turns of whole runs; cycles that aren't complete are left out */
export function costOf(turns: readonly Turn[]): { cost: Cost; control: Cost; cycles: number } {
  const cycles = new Map<number, Turn[]>();
  for (const turn of turns) {
    const cycle = Math.floor(turn.slot / CYCLE);
    cycles.set(cycle, [...(cycles.get(cycle) ?? []), turn]);
  }
  const whole = [...cycles.values()].filter(({ length }) => length === CYCLE);
  /** The difference between the turns of each cycle that are chosen and the others, to the others' sum over all. */
  const difference = (chosen: (turn: Turn) => boolean): Cost => {
    const sum = (of: readonly Turn[]) => of.reduce((total, { cpu }) => total + cpu, 0);
    const others = whole.map((cycle) => sum(cycle.filter((turn) => !chosen(turn))));
    const mean = (of: readonly number[]) => of.reduce((total, value) => total + value, 0) / of.length;
    const base = mean(others);
    const differences = whole.map(
      (cycle, i) => (100 * (sum(cycle.filter(chosen)) - (others[i] ?? 0))) / base,
    );
    const percent = mean(differences);
    const variance = mean(differences.map((value) => (value - percent) ** 2)) / (differences.length - 1);
    return { percent, within: 1.96 * Math.sqrt(variance) };
  };
  return {
    cost: difference(({ slot }) => isOnIn(slot)),
    control: difference(({ slot }) => slot % 2 === 0),
    cycles: whole.length,
  };
}

/** @throws Error as the load does, or where there were too few turns */
export async function measureByTurns(load: LoadOptions, say: Say): Promise<CostByTurns> {
  const directory = mkdtempSync(join(tmpdir(), 'parley-turns-'));
  const file = join(directory, 'slots');
  const variant = makeSwitched();
  process.env.PARLEY_METRICS_SLOTS = file;
  let [from, to] = [Number.POSITIVE_INFINITY, 0]; // the turns that were measured as a whole
  const watch: Say = (line, bar) => {
    if (bar?.phase === 'measuring') {
      from = Math.min(from, slotAt(Date.now()) + 1);
      to = slotAt(Date.now()) - 1;
    }
    say(line, bar);
  };
  try {
    const { result } = await runLoad({ ...load, serverEntry: variant.entry }, watch);
    const turns = turnsOf(readFileSync(file, 'utf8')).filter(({ slot }) => slot >= from && slot <= to);
    const { cost, control, cycles } = costOf(turns);
    if (cycles < CYCLES_MIN) throw new Error(`${cycles} cycles of turns are too few`);
    const cores = result.usage.server?.cores ?? 0;
    return { cost, control, cycles, cpuOfMessage: (1e6 * cores) / result.rates.acked };
  } finally {
    delete process.env.PARLEY_METRICS_SLOTS;
    variant.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}
