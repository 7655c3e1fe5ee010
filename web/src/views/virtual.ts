/**
 * Which rows of a long list are drawn. Heights are estimated until a row was measured; the row that the person looks at
 * keeps its place whatever is added above or turns out taller.
 */
const ESTIMATE_PX = 60;
const OVERSCAN_PX = 600; // drawn beyond what is seen, so that scrolling meets rows

export interface Layout {
  readonly ids: readonly string[];
  readonly index: ReadonlyMap<string, number>;
  /** Where each row begins, and at the end where all end. */
  readonly tops: readonly number[];
}
/** A row and how far its top is above that of the window. */
export interface Anchor {
  readonly id: string;
  readonly above: number;
}

export function layoutOf(ids: readonly string[], heights: ReadonlyMap<string, number>): Layout {
  const tops = [0];
  const index = new Map<string, number>();
  let top = 0;
  ids.forEach((id, i) => {
    index.set(id, i);
    top += heights.get(id) ?? ESTIMATE_PX;
    tops.push(top);
  });
  return { ids, index, tops };
}

/** The row at a height: the last that begins at or above it. */
export function rowAt({ ids, tops }: Layout, y: number): number {
  let low = 0;
  let high = ids.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tops[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function anchorAt(layout: Layout, scrollTop: number): Anchor | null {
  const row = rowAt(layout, scrollTop);
  const id = layout.ids[row];
  return id === undefined ? null : { id, above: scrollTop - (layout.tops[row] ?? 0) };
}

/** Where to scroll so that the anchor is where it was; null where it is gone. */
export function scrollTopFor({ index, tops }: Layout, anchor: Anchor | null): number | null {
  const row = anchor === null ? undefined : index.get(anchor.id);
  return row === undefined || anchor === null ? null : (tops[row] ?? 0) + anchor.above;
}

/** From the first row that is drawn to the one behind the last. */
export function windowOf(layout: Layout, scrollTop: number, height: number): [from: number, to: number] {
  const from = rowAt(layout, scrollTop - OVERSCAN_PX);
  const to = rowAt(layout, scrollTop + height + OVERSCAN_PX) + 1;
  return [from, Math.min(to, layout.ids.length)];
}

export function totalOf({ tops }: Layout): number {
  return tops.at(-1) ?? 0;
}
