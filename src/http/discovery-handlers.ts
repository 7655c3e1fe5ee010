import { Refusal } from '../protocol/errors.js';
import { isUuid } from '../protocol/ids.js';
import type { Room } from '../protocol/model.js';
import type { DiscoveryPlace, RoomDiscovery } from './discovery-port.js';
import { PAGE_LIMIT_DEFAULT } from './routes.js';
import { callerOf, type HttpHandler } from './types.js';

const WORDS_MAX = 10; // of a query; each is a range of the index to be read

/** REST over the public rooms. */
export function discoveryHandlers(discovery: RoomDiscovery): Record<'discover_rooms', HttpHandler> {
  return {
    discover_rooms: async (call) => {
      callerOf(call);
      const { q = '', limit = PAGE_LIMIT_DEFAULT, after } = (call.query ?? {}) as DiscoverQuery;
      const words = q === '' ? null : wordsOf(q);
      const place = after === undefined ? null : decodePlace(after);
      const found = words?.length === 0 ? [] : await discovery.discover(words, place, limit + 1);
      const rooms = found.slice(0, limit);
      const last = found.length > limit ? rooms.at(-1) : undefined;
      return {
        status: 200,
        data: rooms,
        page: { has_more: last !== undefined, next: last === undefined ? null : encodePlace(last) },
      };
    },
  };
}

interface DiscoverQuery {
  readonly q?: string;
  readonly limit?: number;
  readonly after?: string;
}

/** The words of a text, as the index has them: whatever is no letter, mark or digit stands between two. */
export function wordsOf(q: string): string[] {
  const words = [...new Set(q.match(/[\p{L}\p{M}\p{N}]+/gu))];
  if (words.length <= WORDS_MAX) return words;
  throw new Refusal('bad_request', { field: 'q', sentence: `A search takes at most ${WORDS_MAX} words.` });
}

/** Opaque to clients: base64url of "<members>.<id>". */
function encodePlace({ member_count, id }: Room): string {
  return Buffer.from(`${member_count}.${id}`).toString('base64url');
}

/** @throws Refusal `bad_request`: not a cursor that `encodePlace` made */
function decodePlace(cursor: string): DiscoveryPlace {
  const [count = '', id = '', ...rest] = Buffer.from(cursor, 'base64url').toString('latin1').split('.');
  if (!/^[0-9]{1,9}$/.test(count) || !isUuid(id) || rest.length > 0) {
    throw new Refusal('bad_request', { field: 'after', sentence: 'Not a cursor of this list.' });
  }
  return { member_count: Number(count), id };
}
