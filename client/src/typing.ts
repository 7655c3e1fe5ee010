import type { Passing } from './events.js';

/** Who types in a room: yourself, told at most every few seconds, and the others as last heard of. */
export interface Typing {
  /** Call it at each key: the others are told once in a while, and when you pause. */
  readonly key: () => void;
  /** The field was emptied, or the message sent. */
  readonly stop: () => void;
  readonly others: () => { user_id: string; username: string }[];
  readonly heard: (event: Passing) => void;
  readonly wrote: (userId: string) => void;
}

const TELL_EVERY_MS = 2_000; // below the TTL, so that no gap shows
const PAUSE_MS = 3_000; // without a key: the person has stopped
const TTL_MS = 6_000; // the server says it again every 3 s; more is a `user_stopped_typing` that got lost
const TYPISTS_MAX = 100; // shown at once; nobody reads more names

export function createTyping(tell: (type: 'user_typing' | 'user_stopped_typing') => void): Typing {
  const typists = new Map<string, { username: string; until: number }>();
  let toldAt = Number.NEGATIVE_INFINITY;
  let pause: ReturnType<typeof setTimeout> | undefined;

  const stop = (): void => {
    clearTimeout(pause);
    if (toldAt === Number.NEGATIVE_INFINITY) return;
    toldAt = Number.NEGATIVE_INFINITY;
    tell('user_stopped_typing');
  };
  return {
    key() {
      clearTimeout(pause);
      pause = setTimeout(stop, PAUSE_MS);
      if (Date.now() - toldAt < TELL_EVERY_MS) return;
      toldAt = Date.now();
      tell('user_typing');
    },
    stop,
    others() {
      const now = Date.now();
      for (const [user_id, { until }] of typists) if (until <= now) typists.delete(user_id);
      return [...typists].map(([user_id, { username }]) => ({ user_id, username }));
    },
    heard(event) {
      if (event.type === 'user_stopped_typing' || event.type === 'user_offline') {
        typists.delete(event.user_id);
      }
      if (event.type !== 'user_typing') return;
      const { user_id, username } = event;
      if (typists.size < TYPISTS_MAX || typists.has(user_id)) {
        typists.set(user_id, { username, until: Date.now() + TTL_MS });
      }
    },
    wrote: (userId) => void typists.delete(userId),
  };
}
