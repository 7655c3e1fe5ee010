import { describe, expect, it } from 'vitest';
import { drawProgress, type Milestones, stageAt } from '../../bench/load/progress.js';

const times = { connections: 1_000, warmupSeconds: 3, seconds: 20, drainSeconds: 10 };
const START = 5_000_000;
const at = (seconds: number, reached: Partial<Milestones> = { startMicros: START }) =>
  stageAt(times, { startMicros: undefined, sentMicros: undefined, ...reached }, 250, START + seconds * 1e6);

describe('the progress of a load run', () => {
  it('goes from joining through warm-up and measuring to the last answers and deliveries', () => {
    expect(at(0, {})).toEqual({ phase: 'joining', done: 250, total: 1_000, unit: 'sockets' });
    // The first message is due a moment after the start is told.
    expect(at(-0.1)).toEqual({ phase: 'warm-up', done: 0, total: 3, unit: 's' });
    expect(at(2.5)).toMatchObject({ phase: 'warm-up', done: 2.5 });
    expect(at(3)).toEqual({ phase: 'measuring', done: 0, total: 20, unit: 's' });
    expect(at(22)).toMatchObject({ phase: 'measuring', done: 19 });
    expect(at(25)).toEqual({ phase: 'answers', done: 2, total: 10, unit: 's' });
    expect(at(60)).toMatchObject({ phase: 'answers', done: 10 });
    const reached = { startMicros: START, sentMicros: START + 24e6 };
    expect(at(28, reached)).toEqual({ phase: 'deliveries', done: 4, total: 10, unit: 's' });
  });

  const bar = { ...at(13), ackedPerSecond: 1_998.4 };

  it('is drawn as a bar with elapsed, total and the rate', () => {
    expect(drawProgress(bar, 80)).toBe(
      `  measuring  [${'#'.repeat(17)}${'-'.repeat(17)}] 10/20 s, 1,998 acknowledged/s`,
    );
    expect(drawProgress({ ...at(0, {}), ackedPerSecond: 0 }, 200)).toBe(
      `  joining    [${'#'.repeat(10)}${'-'.repeat(30)}] 250/1,000 sockets, 0 acknowledged/s`,
    );
  });

  it('is full at the end, and where there is nothing to wait for', () => {
    expect(drawProgress({ ...bar, done: 20 }, 80)).toContain(`[${'#'.repeat(34)}]`);
    expect(drawProgress({ ...bar, done: 0, total: 0 }, 80)).not.toContain('-');
  });

  it('never reaches the last column, and leaves the bar out where there is no room', () => {
    for (let columns = 1; columns < 120; columns += 1) {
      expect(drawProgress(bar, columns).length, String(columns)).toBeLessThan(columns);
    }
    expect(drawProgress(bar, 45)).toBe('  measuring 10/20 s, 1,998 acknowledged/s');
  });
});
