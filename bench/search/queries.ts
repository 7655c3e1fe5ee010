import type { RoomId } from '../../src/protocol/ids.js';
import type { Db } from '../../src/store/client.js';
import type { Random } from '../load/random.js';
import { wordOf } from './corpus.js';

/** The kinds of query that are told apart, by how often their words occur. */
export const QUERY_KINDS = [
  'most frequent word',
  'common word',
  'uncommon word',
  'rare word',
  'unknown word',
  'two common words',
  'common without frequent',
  'phrase that occurs',
  'phrase of frequent words',
  'one of two rare words',
] as const;
export type QueryKind = (typeof QUERY_KINDS)[number];

const between = (random: Random, low: number, high: number): string =>
  wordOf(low + Math.floor(random() * (high - low)));

/** A query of a kind, as somebody would type it. */
export async function makeQuery(db: Db, room_id: RoomId, kind: QueryKind, random: Random): Promise<string> {
  switch (kind) {
    case 'most frequent word':
      return wordOf(1);
    case 'common word':
      return between(random, 10, 100);
    case 'uncommon word':
      return between(random, 300, 3_000);
    case 'rare word':
      return between(random, 10_000, 50_000);
    case 'unknown word':
      return `xx${Math.floor(random() * 1e9)}`;
    case 'two common words':
      return `${between(random, 10, 100)} ${between(random, 10, 100)}`;
    case 'common without frequent':
      return `${between(random, 10, 100)} -${wordOf(1)}`;
    case 'phrase that occurs':
      return `"${await wordsOfAMessage(db, room_id, random)}"`;
    case 'phrase of frequent words':
      return `"${between(random, 1, 20)} ${between(random, 1, 20)} ${between(random, 1, 20)}"`;
    case 'one of two rare words':
      return `${between(random, 5_000, 50_000)} or ${between(random, 5_000, 50_000)}`;
    default:
      return kind satisfies never;
  }
}

/** Two words that follow one another in some message of the room. */
async function wordsOfAMessage(db: Db, room_id: RoomId, random: Random): Promise<string> {
  const [row] = await db<{ content: string }[]>`
    select content from messages m join room_heads h using (room_id)
    where room_id = ${room_id} and seq_no = 1 + floor(${random()}::float8 * head_seq)::bigint`;
  const words = row?.content.split(' ') ?? [];
  const at = Math.floor(random() * (words.length - 1));
  return words.slice(at, at + 2).join(' ');
}
