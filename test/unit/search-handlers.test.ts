import { describe, expect, it } from 'vitest';
import { searchHandlers } from '../../src/http/search-handlers.js';
import type { HttpCall } from '../../src/http/types.js';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import { Refusal } from '../../src/protocol/errors.js';
import { newId, type SessionId, type UserId } from '../../src/protocol/ids.js';

const AT_ONCE = 2;
const WAITING = 64;

const call: HttpCall = {
  params: { roomId: newId() },
  query: { q: 'word' },
  body: null,
  caller: { user_id: newId<UserId>(), username: 'anna', sid: newId<SessionId>() },
  address: '127.0.0.1',
  userAgent: '',
  origin: '',
  over: null,
};

/** Handlers over a database that answers when it is told to. */
function slowSearch() {
  const asked: Deferred<void>[] = [];
  const handlers = searchHandlers({
    messages: { checkReader: async () => undefined },
    reader: { seqOf: async () => null },
    search: {
      parse: async () => {
        const answer = deferred<void>();
        asked.push(answer);
        await answer.promise;
        return { text: "'word'", words: 1, head_seq: 1, indexed_seq: 1 };
      },
      find: async () => ({ hits: [], reached: null }),
    },
  });
  return { asked, search: () => handlers.search_messages(call) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('searches of a shard', () => {
  it('run two at a time, whoever comes first first, and beyond those who may wait are overloaded', async () => {
    const { asked, search } = slowSearch();
    const all = Array.from({ length: AT_ONCE + WAITING }, search);
    await turn();
    expect(asked).toHaveLength(AT_ONCE);
    await expect(search()).rejects.toEqual(new Refusal('overloaded'));
    for (let done = 0; done < all.length; done++) {
      asked[done]?.resolve();
      await all[done];
      await turn();
      expect(asked).toHaveLength(Math.min(done + 1 + AT_ONCE, all.length));
    }
  });

  it('that fail make way for those who wait', async () => {
    const { asked, search } = slowSearch();
    const all = Array.from({ length: AT_ONCE + 1 }, search);
    await turn();
    asked[0]?.reject(new Error('away'));
    await expect(all[0]).rejects.toThrow('away');
    await turn();
    expect(asked).toHaveLength(AT_ONCE + 1);
    for (const answer of asked) answer.resolve();
    await Promise.all(all.slice(1));
  });
});
