import { Refusal } from '../protocol/errors.js';
import { isUuid, type MessageId, type RoomId } from '../protocol/ids.js';
import type { SearchHit } from '../protocol/model.js';
import type { MessageService } from '../rooms/message-service.js';
import { highlight } from './highlight.js';
import type { MessageReader } from './message-reading-port.js';
import type { MessageSearch } from './message-search-port.js';
import { PAGE_LIMIT_DEFAULT } from './routes.js';
import { callerOf, type HttpAnswer, type HttpHandler } from './types.js';

export const QUERY_WORDS_MAX = 20; // each is a list to be read and a test of every candidate
const AT_ONCE_MAX = 2; // searches of a shard that hold a connection: messages need the others
const WAITING_MAX = 64; // searches behind these; each takes milliseconds, a second at most

/** REST over the search in a room's messages. */
export function searchHandlers(ports: {
  readonly messages: Pick<MessageService, 'checkReader'>;
  readonly reader: Pick<MessageReader, 'seqOf'>;
  readonly search: MessageSearch;
}): Record<'search_messages', HttpHandler> {
  const { messages, reader, search } = ports;
  const inTurn = turnstile(AT_ONCE_MAX, WAITING_MAX);

  async function cursorOf(room_id: RoomId, text: string): Promise<number> {
    const seq = isUuid(text) ? await reader.seqOf(room_id, text as MessageId) : Number(text);
    if (seq === null) throw new Refusal('bad_request', { field: 'before', sentence: 'No such message.' });
    return seq;
  }

  async function page(room_id: RoomId, asked: SearchQuery): Promise<HttpAnswer> {
    const { limit = PAGE_LIMIT_DEFAULT } = asked;
    const cursor = asked.before === undefined ? null : await cursorOf(room_id, asked.before);
    const query = await search.parse(room_id, asked.q);
    if (query.words > QUERY_WORDS_MAX) {
      throw new Refusal('bad_request', {
        field: 'q',
        sentence: `A search takes at most ${QUERY_WORDS_MAX} words.`,
      });
    }
    if (query.words === 0) return { status: 200, data: [], page: { has_more: false, next: null } };
    const before = Math.min(cursor ?? Number.MAX_SAFE_INTEGER, query.head_seq + 1);
    const found = await search.find(room_id, query, { before, limit: limit + 1 });
    const hits = found.hits
      .slice(0, limit)
      .map(
        ({ message, marked }): SearchHit => ({ ...message, highlight: highlight(message.content, marked) }),
      );
    // A page that isn't full may have more: the search ended early.
    const next = found.hits.length > limit ? (hits.at(-1)?.seq_no ?? null) : found.reached;
    return {
      status: 200,
      data: hits,
      page: { has_more: next !== null, next: next === null ? null : String(next) },
    };
  }

  return {
    search_messages: async (call) => {
      const room_id = call.params.roomId as RoomId;
      await messages.checkReader(callerOf(call), room_id);
      return inTurn(() => page(room_id, call.query as SearchQuery));
    },
  };
}

interface SearchQuery {
  readonly q: string;
  readonly limit?: number;
  readonly before?: string;
}

/** Runs at most `atOnce` tasks at a time, in their order; throws Refusal `overloaded` where too many wait. */
function turnstile(atOnce: number, waitingMax: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= atOnce) {
      if (waiting.length >= waitingMax) throw new Refusal('overloaded');
      await new Promise<void>((resolve) => waiting.push(resolve)); // whoever ends hands its place on
    } else running++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
