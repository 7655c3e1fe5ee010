import type { LogEvent, NewMessage, Reacted } from './events.js';
import type { Message, Reaction } from './types.js';

/**
 * The newest messages of a room as they are now: a window without holes up to the head, oldest first. Older messages are
 * added by pages; beyond `limit` the oldest leave.
 */
export interface Timeline {
  /** The same array until something changes. */
  readonly messages: () => readonly Message[];
  readonly get: (id: string) => Message | undefined;
  /** The first number of the window; one above the head where it is empty. */
  readonly from: () => number;
  /** Takes in a message in its present state; an older state than the known one changes nothing. */
  readonly put: (message: Message) => void;
  readonly apply: (event: LogEvent, timestamp: number) => void;
  /** Empties it, to begin after number `seq`. */
  readonly clear: (seq: number) => void;
  /** Adds what `load` gives: the messages before a number, newest first. Returns how many; 0 at the room's beginning or the limit. */
  readonly prepend: (load: (before: number) => Promise<readonly Message[]>) => Promise<number>;
}

const HELD_MAX = 1_000; // changes to older messages during one page's load
const USER_IDS_MAX = 50; // that a reaction lists, the newest first

export function createTimeline(limit: number, changed: () => void): Timeline {
  const byId = new Map<string, Message>();
  let list: Message[] = []; // in order of seq_no
  let snapshot: readonly Message[] | null = null;
  let first = 1;
  /** Changes to messages before the window, while a page of those is on its way; null when none is. */
  let held: (() => void)[] | null = null;
  let loading: Promise<number> | null = null;

  const touch = (): void => {
    snapshot = null;
    changed();
  };
  /** Where a number stands, or would. */
  const indexOf = (seq: number): number => {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.seq_no ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const hold = (again: () => void): void => {
    if (held !== null && held.push(again) > HELD_MAX) held = null; // `prepend` then loads again
  };
  const insert = (message: Message): void => {
    const index = indexOf(message.seq_no);
    const known = list[index];
    if (known !== undefined && known.seq_no === message.seq_no) {
      if (known.rev > message.rev) return;
      list[index] = message;
    } else list.splice(index, 0, message);
    byId.set(message.id, message);
    touch();
  };
  const trim = (): void => {
    for (const message of list.splice(0, Math.max(0, list.length - limit))) {
      byId.delete(message.id);
      first = message.seq_no + 1;
    }
  };

  async function loadBefore(load: (before: number) => Promise<readonly Message[]>): Promise<number> {
    while (first > 1 && list.length < limit) {
      const before = first;
      const mine: (() => void)[] = [];
      held = mine;
      const older = await load(before);
      if (held !== mine || first !== before) continue; // cleared, trimmed, or too much happened
      held = null;
      const taken = older.slice(0, limit - list.length);
      first = taken.at(-1)?.seq_no ?? 1;
      for (const message of taken) insert(message);
      for (const again of mine) again();
      return taken.length;
    }
    return 0;
  }

  const timeline: Timeline = {
    messages: () => {
      snapshot ??= list.slice();
      return snapshot;
    },
    get: (id) => byId.get(id),
    from: () => first,
    put(message) {
      if (message.seq_no < first) return hold(() => timeline.put(message));
      insert(message);
      trim();
    },
    apply(event, timestamp) {
      if (event.type === 'new_message') return timeline.put(event.message);
      if ('message' in event && event.message) return timeline.put(event.message);
      const message = byId.get(event.message_id);
      if (message === undefined) return hold(() => timeline.apply(event, timestamp));
      if (message.rev < event.rev) insert({ ...after(message, event, timestamp), rev: event.rev });
    },
    clear(seq) {
      list = [];
      byId.clear();
      held = null;
      first = seq + 1;
      touch();
    },
    prepend(load) {
      loading ??= loadBefore(load).finally(() => {
        loading = null;
        held = null;
      });
      return loading;
    },
  };
  return timeline;
}

/** A message after an event that brings no message. */
function after(message: Message, event: Exclude<LogEvent, NewMessage>, timestamp: number): Message {
  switch (event.type) {
    case 'message_deleted':
      return {
        ...message,
        content: '',
        metadata: {},
        mentions: [],
        attachments: [],
        reactions: [],
        pinned: false,
        deleted_at: new Date(timestamp).toISOString(),
      };
    case 'message_pinned':
    case 'message_unpinned':
      return { ...message, pinned: event.type === 'message_pinned' };
    case 'message_updated':
      return event.message;
    default:
      return { ...message, reactions: reacted(message.reactions, event) };
  }
}

function reacted(before: readonly Reaction[], { type, emoji, user_id, count }: Reacted): Reaction[] {
  const known = before.find((reaction) => reaction.emoji === emoji);
  const others = (known?.user_ids ?? []).filter((id) => id !== user_id);
  const user_ids = type === 'reaction_added' ? [user_id, ...others].slice(0, USER_IDS_MAX) : others;
  const next = { emoji, count, user_ids };
  if (count === 0) return before.filter((reaction) => reaction.emoji !== emoji);
  if (known === undefined) return [...before, next];
  return before.map((reaction) => (reaction === known ? next : reaction));
}
