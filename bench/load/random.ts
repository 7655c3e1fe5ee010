/** A small seeded generator (mulberry32): runs with the same `--seed` send in the same order with the same filler. */
export type Random = () => number;

/** @returns a function that gives uniform numbers in [0, 1). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Shuffles in place (Fisher–Yates) and returns the same array. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const held = items[last] as T;
    items[last] = items[other] as T;
    items[other] = held;
  }
  return items;
}

const WORDS =
  'the room is open now and every message that was acknowledged has a number so nobody waits for what was already said twice';

/** @returns `bytes` bytes of ASCII words: text with the cost of text for the server's full-text index. */
export function filler(bytes: number, random: Random): string {
  const words = WORDS.split(' ');
  let text = '';
  while (text.length < bytes) text += `${words[Math.floor(random() * words.length)] ?? ''} `;
  return text.slice(0, bytes);
}
