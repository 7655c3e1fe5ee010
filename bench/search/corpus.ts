import type { Random } from '../load/random.js';

/** What is searched: messages of words as frequent as those of a language, in rooms of very different sizes. */

/** Rooms and the share of all messages that each has. */
export const ROOM_SIZES = [
  { kind: 'huge', rooms: 1, share: 0.5 },
  { kind: 'large', rooms: 10, share: 0.3 },
  { kind: 'small', rooms: 1_000, share: 0.2 },
] as const;
export type RoomKind = (typeof ROOM_SIZES)[number]['kind'];

const VOCABULARY = 50_000;
const WORDS_MIN = 3;
const WORDS_MAX = 25;
const CONSONANTS = 'bdfgklmnprstvz';
const VOWELS = 'aeiou';

/** The word of a rank, 1 being the most frequent: syllables that spell the rank. */
export function wordOf(rank: number): string {
  let word = '';
  for (let rest = rank; rest > 0; rest = Math.floor(rest / 70)) {
    word += (CONSONANTS[rest % 14] ?? '') + (VOWELS[Math.floor(rest / 14) % 5] ?? '');
  }
  return word;
}

/** Words by Zipf's law: a word's frequency is inverse to its rank. */
export function sentence(random: Random): string {
  const count = WORDS_MIN + Math.floor(random() * (WORDS_MAX - WORDS_MIN + 1));
  return Array.from({ length: count }, () => wordOf(Math.floor(VOCABULARY ** random()))).join(' ');
}

/** Picks the room of each message, so that rooms are as interleaved as they are in life. */
export function roomPicker(random: Random): () => { kind: RoomKind; index: number } {
  return () => {
    let at = random();
    for (const { kind, rooms, share } of ROOM_SIZES) {
      if (at < share) return { kind, index: Math.floor(random() * rooms) };
      at -= share;
    }
    return { kind: 'small', index: 0 };
  };
}
