import type { CallOptions, Http, Page, Query } from './http.js';
import type { Message, SearchHit } from './types.js';

/**
 * All entries of a list, page by page as they are consumed.
 * @param load gives the page from a cursor, which is undefined for the first
 */
export async function* paged<T>(
  load: (cursor: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<T, void, undefined> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await load(cursor);
    yield* items;
    if (next === null) return;
    cursor = next;
  }
}

export interface HistoryOptions extends CallOptions {
  /** Begins before this number or message. */
  readonly before?: string | number;
  readonly pageSize?: number;
}

const PAGE = 50;

/** A room's messages, newest first, as far back as they are consumed. */
export function history(http: Http, roomId: string, options: HistoryOptions = {}): AsyncGenerator<Message> {
  return backwards(http, `/rooms/${roomId}/messages`, {}, options);
}

/** The messages that a search finds, newest first: words, "phrases", or, -not. */
export function search(
  http: Http,
  roomId: string,
  q: string,
  options: HistoryOptions = {},
): AsyncGenerator<SearchHit> {
  return backwards(http, `/rooms/${roomId}/messages/search`, { q }, options);
}

function backwards<T>(
  http: Http,
  path: string,
  query: Query,
  { before, pageSize = PAGE, signal }: HistoryOptions,
): AsyncGenerator<T> {
  return paged((cursor) =>
    http.page<T>(path, { ...query, limit: pageSize, before: cursor ?? before }, { signal }),
  );
}
