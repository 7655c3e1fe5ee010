import type { Message, Role } from './types.js';

/**
 * Puts the changes of one room in order, each once:
 *
 *     apart ──joined, nothing missing──► live ──a jump of rev, or `resync`──► behind ──synced up to the target──► live
 *       └───────joined with `more`─────► behind                                  └─► apart (connection lost)
 *
 * `rev` is the last change handed on; whatever comes with a smaller one is a duplicate. While behind, live changes wait
 * for what lies before them; when too many wait they are let go, and come by sync as well.
 */
export interface RoomLog<E> {
  /** null before the first join. */
  readonly rev: () => number | null;
  /** Whether `sync` since `rev` is needed. */
  readonly behind: () => boolean;
  readonly joined: (answer: Joined) => void;
  readonly synced: (answer: Synced) => void;
  readonly event: (rev: number, event: E) => void;
  /** The server says that this socket missed something up to `head`. */
  readonly resync: (head: number) => void;
  readonly apart: () => void;
  /** Goes on from a rev that the application had kept; null forgets everything. */
  readonly start: (rev: number | null) => void;
}

/** The payload of `joined`. */
export interface Joined {
  readonly room_id: string;
  readonly role: Role;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly last_read_seq: number;
  readonly unread_count: number;
  readonly messages?: readonly Message[];
  readonly next_since?: number;
  readonly more?: boolean;
}

export interface Synced {
  readonly messages: readonly Message[];
  readonly head_rev: number;
  readonly next_since: number;
  readonly more: boolean;
}

/** Where the changes go, in order of rev. */
export interface LogSink<E> {
  readonly event: (rev: number, event: E) => void;
  /** The present state of a message that changed; steps in between are not known. */
  readonly state: (message: Message) => void;
}

const WAITING_MAX = 1_000; // changes kept while behind; a sync brings 500 at a time anyway

export function createRoomLog<E>(sink: LogSink<E>): RoomLog<E> {
  let known: number | null = null;
  let target = 0;
  const waiting = new Map<number, E>();

  const states = (messages: readonly Message[], upTo: number): void => {
    for (const message of messages) {
      if (message.rev <= (known ?? 0)) continue;
      known = message.rev;
      sink.state(message);
    }
    known = Math.max(known ?? 0, upTo);
  };
  const goOn = (): void => {
    if (known === null) return;
    for (const rev of waiting.keys()) if (rev <= known) waiting.delete(rev);
    for (;;) {
      const next: number = known + 1;
      const event = waiting.get(next);
      if (event === undefined) return;
      waiting.delete(next);
      known = next;
      sink.event(next, event);
    }
  };

  return {
    rev: () => known,
    behind: () => known !== null && known < target,
    joined(answer) {
      waiting.clear();
      target = answer.head_rev;
      if (known === null) known = answer.head_rev;
      else if (answer.messages !== undefined) states(answer.messages, answer.next_since ?? answer.head_rev);
    },
    synced(answer) {
      if (known === null) return;
      target = Math.max(target, answer.head_rev);
      states(answer.messages, answer.next_since);
      goOn();
    },
    event(rev, event) {
      if (known === null || rev <= known) return;
      target = Math.max(target, rev);
      if (waiting.size >= WAITING_MAX) waiting.clear();
      waiting.set(rev, event);
      goOn();
    },
    resync(head) {
      if (known !== null) target = Math.max(target, head);
    },
    apart() {
      waiting.clear();
      target = 0;
    },
    start(rev) {
      waiting.clear();
      target = 0;
      known = rev;
    },
  };
}
