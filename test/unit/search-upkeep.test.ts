import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { searchUpkeep } from '../../src/shard/search-upkeep.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Keeps the merges under way open until told. */
function upkeep() {
  const merges: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const errors: unknown[] = [];
  const merge = () => {
    const { promise, resolve, reject } = deferred<void>();
    merges.push({ resolve, reject });
    return promise;
  };
  return { ...searchUpkeep({ merge, report: (error) => errors.push(error) }), merges, errors };
}

const settled = () => vi.advanceTimersByTimeAsync(0);

describe('the upkeep of the search index', () => {
  it('merges at a thousand changes, one merge at a time, and goes on with those that came meanwhile', async () => {
    const { changed, merges } = upkeep();
    changed(999);
    expect(merges).toHaveLength(0);
    changed(1);
    expect(merges).toHaveLength(1);
    changed(2_500);
    expect(merges).toHaveLength(1);
    merges[0]?.resolve();
    await settled();
    expect(merges).toHaveLength(2);
  });

  it('merges few changes within two seconds, and nothing when nothing changed', async () => {
    const { changed, merges } = upkeep();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(merges).toHaveLength(0);
    changed(1);
    await vi.advanceTimersByTimeAsync(1_999);
    changed(1);
    expect(merges).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(merges).toHaveLength(1);
    merges[0]?.resolve();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(merges).toHaveLength(1);
  });

  it('reports a merge that failed, and merges with the next changes', async () => {
    const { changed, merges, errors } = upkeep();
    changed(1_000);
    merges[0]?.reject(new Error('away'));
    await settled();
    expect(errors).toHaveLength(1);
    changed(1_000);
    expect(merges).toHaveLength(2);
  });

  it('merges no more once closed', async () => {
    const { changed, merges, close } = upkeep();
    changed(1);
    close();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(merges).toHaveLength(0);
  });
});
