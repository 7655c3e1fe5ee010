import { LRUCache } from 'lru-cache';
import type { Fact } from '../protocol/facts.js';

const FACTS_MAX = 50_000; // some 15 MB; the watch comes half a second after the bus

/** What this process' sockets have been told outside of the log, by the bus or by the watch, whichever came first. */
export interface Told {
  /** Notes a fact; false where it is no news. */
  fresh(fact: Fact): boolean;
  has(fact: Fact): boolean;
}

export function createTold(): Told {
  const states = new LRUCache<string, string>({ max: FACTS_MAX });
  return {
    fresh({ about, state }) {
      if (states.get(about) === state) return false;
      states.set(about, state);
      return true;
    },
    has: ({ about, state }) => states.peek(about) === state,
  };
}
