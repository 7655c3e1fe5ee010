import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { marginalBytes } from '../../bench/load/memory-slope.js';
import { findHighestRate } from '../../bench/load/rate-search.js';
import { linePlot, niceCeiling } from '../../bench/load/svg-plot.js';
import { createTimeline, mergeTimelines } from '../../bench/load/timeline.js';

describe('the search for the highest rate', () => {
  const search = (first: number, resolution: number, capacity: number) =>
    findHighestRate(first, resolution, async (rate) => ({ passed: rate <= capacity, outcome: rate }));

  it('ends at a rate that passed, no further from the capacity than the resolution', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 10_000 }),
        fc.double({ min: 1.02, max: 2, noNaN: true }),
        fc.double({ min: 1 / 40, max: 40, noNaN: true }),
        async (first, resolution, factor) => {
          const capacity = first * factor;
          const { highest, steps } = await search(first, resolution, capacity);
          expect(highest).toBeLessThanOrEqual(capacity);
          // Rates are whole numbers: at small ones a step of one may be more than the resolution.
          expect(highest * resolution + 1).toBeGreaterThanOrEqual(capacity);
          expect(steps.filter((step) => step.passed).map((step) => step.rate)).toContain(highest);
        },
      ),
    );
  });

  it('gives up where nothing passes, and where everything does', async () => {
    expect((await search(1_000, 1.1, 0)).highest).toBe(0);
    expect((await search(1_000, 1.1, Number.POSITIVE_INFINITY)).highest).toBe(64_000);
  });
});

describe('the timeline', () => {
  it('adds up several loaders, with percentiles within a bucket of the truth', () => {
    const timelines = [0, 1].map((loader) => {
      const timeline = createTimeline(0, 2_000_000);
      for (let index = 0; index < 50; index += 1) {
        timeline.sent(100_000);
        timeline.acked(1_500_000);
        timeline.delivered(loader === 0 ? 10_000 : 80_000, 1_500_000);
      }
      timeline.delivered(1, 5_000_000);
      return timeline.data;
    });
    const [first, second] = mergeTimelines(timelines);
    expect(first).toEqual({ second: 0, sent: 100, acked: 0, delivered: 0, p50: null, p99: null });
    expect(second).toMatchObject({ second: 1, sent: 0, acked: 100, delivered: 100 });
    expect(Math.abs((second?.p50 ?? 0) - 10)).toBeLessThan(1);
    expect(Math.abs((second?.p99 ?? 0) - 80)).toBeLessThan(8);
  });

  it('widens its slots for a long run instead of growing', () => {
    const { slotSeconds, slots } = createTimeline(0, 86_400 * 1e6).data;
    expect(slots).toHaveLength(600);
    expect(slotSeconds).toBe(144);
  });
});

describe('the memory of a socket', () => {
  it('is the slope of the second half, whatever the first sockets had warmed up', () => {
    const samples = Array.from({ length: 21 }, (_, index) => ({
      sockets: index * 100,
      bytes: 50e6 + (index < 8 ? index * 1e6 : 8e6) + index * 100 * 6_000,
    }));
    expect(marginalBytes(samples)).toBeCloseTo(6_000, 3);
  });

  it('is not told from too few samples', () => {
    expect(marginalBytes([{ sockets: 10, bytes: 1 }])).toBeUndefined();
    expect(marginalBytes(Array.from({ length: 9 }, () => ({ sockets: 10, bytes: 1 })))).toBeUndefined();
  });
});

describe('a plot', () => {
  it('escapes names, and breaks a line where there is no value', () => {
    const svg = linePlot({
      title: 'a <b> & "c"',
      x: 'x',
      y: 'y',
      series: [
        {
          name: '<i>',
          points: [
            [0, 1],
            [1, null],
            [2, 3],
          ],
        },
      ],
    });
    expect(svg).not.toContain('<b>');
    expect(svg).not.toContain('<i>');
    expect(svg).not.toContain('NaN');
    expect(/ d="([^"]*)"/.exec(svg)?.[1]?.match(/M/g)).toHaveLength(2);
  });

  it('stands on an axis that ends at a round number', () => {
    expect([0, 0.7, 1, 1.1, 4.2, 51, 100].map(niceCeiling)).toEqual([1, 1, 1, 2, 5, 100, 100]);
  });
});
