import { expect, test } from 'vitest';
import type { AttachmentId } from '../../src/protocol/ids.js';
import { startCollector } from '../../src/rooms/attachment-collector.js';
import type { Removal } from '../../src/rooms/attachment-ports.js';
import { until } from '../helpers/deadline.js';

/** A collector over so many removals; `refused`: whose bytes can't be removed. */
function collecting(due: number, refused: readonly string[] = []) {
  const removals = Array.from({ length: due }, (_, i): Removal => {
    return { id: `id ${i}` as AttachmentId, storage_key: `file-${i}` };
  });
  const removed: string[] = [];
  const reported: unknown[] = [];
  const underWay = { now: 0, most: 0 };
  const collector = startCollector(
    {
      detachDue: async () => 0,
      takeDue: async (limit) => removals.splice(0, limit),
      removed: async (ids) => void removed.push(...ids),
    },
    {
      async remove(key) {
        underWay.most = Math.max(underWay.most, ++underWay.now);
        await new Promise((resolve) => setImmediate(resolve));
        underWay.now--;
        if (refused.includes(key)) throw new Error(`${key} stays`);
      },
    },
    (error) => reported.push(error),
  );
  return { collector, removed, reported, underWay };
}

const ids = (...numbers: readonly number[]) => numbers.map((number) => `id ${number}`);

test('all that is due goes, a few files at once', async () => {
  const { collector, removed, reported, underWay } = collecting(45);
  await until(() => removed.length === 45, 'all removed');
  await collector.close();
  expect(new Set(removed).size).toBe(45);
  expect(underWay).toEqual({ now: 0, most: 3 });
  expect(reported).toEqual([]);
});

test('one that fails keeps its row, and those beside it go', async () => {
  const { collector, removed, reported } = collecting(9, ['file-4']);
  await until(() => reported.length > 0, 'the failure told');
  await collector.close();
  expect(removed).toEqual(ids(0, 1, 2, 3, 5));
  expect(reported).toEqual([new Error('file-4 stays')]);
});
