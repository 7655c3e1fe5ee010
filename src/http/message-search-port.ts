import type { RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';

/** A query in web-search syntax as the database understood it. */
export interface ParsedQuery {
  readonly text: string;
  /** How many words it looks for; 0 for stop words and operators alone. */
  readonly words: number;
  /** The number of the room's newest message. */
  readonly head_seq: number;
  /** Up to this number words are indexed; above it messages are read one by one. */
  readonly indexed_seq: number;
}

export interface MessageHit {
  readonly message: Message;
  /**
   * The content with U+0001 before and U+0002 after each match. Characters beside these may stand for others,
   * one for one.
   */
  readonly marked: string;
}

/** Finds messages of one room; src/store implements it. All throw `StoreUnavailable`. */
export interface MessageSearch {
  parse(room_id: RoomId, q: string): Promise<ParsedQuery>;
  /**
   * The newest matches with a number below `before`, newest first, at most `limit`; tombstones never match. A search that
   * would take long ends early: what is below `reached` hasn't been looked at then.
   */
  find(
    room_id: RoomId,
    query: Pick<ParsedQuery, 'text' | 'indexed_seq'>,
    range: { readonly before: number; readonly limit: number },
  ): Promise<{ readonly hits: MessageHit[]; readonly reached: number | null }>;
}
