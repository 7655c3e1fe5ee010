import { ConnectionError, errorOf, isRetryable, localError, ParleyError } from './errors.js';
import { newId } from './ids.js';
import type { OutboxEntry, OutboxStore } from './outbox-stores.js';
import type { Ack, MessageBody } from './types.js';
import { type BackoffOptions, backoffMs } from './waiting.js';

/**
 *     queued ──its turn, connected──► sending ──committed──► sent
 *       ▲  ▲                            │  └──refused for good──► failed ──discard──► gone
 *       │  └──no answer, or "later"─────┘                           │
 *       └───────────────────────────retry───────────────────────────┘
 */
export type OutgoingState = 'queued' | 'sending' | 'sent' | 'failed';

/** A message on its way. Its id stays the same whatever happens, so that it is committed once. */
export interface Outgoing {
  readonly id: string;
  readonly room_id: string;
  readonly body: MessageBody;
  /** By this side's clock. */
  readonly created_at: string;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: ParleyError | null;
  readonly ack: Ack | null;
  /** Settles with the first end: the ack, or why it failed or was discarded. */
  readonly sent: Promise<Ack>;
  /** Queues a failed one again, behind the others of its room. */
  readonly retry: () => void;
  /** Forgets a queued or failed one; false where it is under way or sent. */
  readonly discard: () => boolean;
}

export interface Outbox {
  /** @throws ParleyError `queue_full` */
  readonly add: (roomId: string, body: MessageBody) => Outgoing;
  /** All that isn't sent, in order. */
  readonly list: (roomId?: string) => Outgoing[];
  /** Reads what an earlier life left. */
  readonly load: () => Promise<void>;
  /** Goes on sending, now that there is a connection. */
  readonly flush: () => void;
  readonly stop: () => void;
}

export interface OutboxOptions {
  readonly store: OutboxStore;
  readonly limit: number;
  readonly backoff?: BackoffOptions | undefined;
  readonly connected: () => boolean;
  readonly send: (entry: OutboxEntry) => Promise<Ack>;
  readonly changed: (outgoing: Outgoing) => void;
  /** The store failed: what is queued is sent all the same, but wouldn't survive a reload. */
  readonly storeFailed: (error: unknown) => void;
}

type Item = { -readonly [K in keyof Outgoing]: Outgoing[K] } & {
  entry: OutboxEntry;
  stored: Promise<void>;
  settle: { resolve: (ack: Ack) => void; reject: (error: unknown) => void };
};

/** The messages of one room, in order, one under way at a time: a later one can't overtake one that has to be repeated. */
interface Lane {
  readonly roomId: string;
  readonly items: Item[];
  busy: boolean;
  attempt: number;
  timer?: ReturnType<typeof setTimeout>;
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { store } = options;
  const lanes = new Map<string, Lane>();
  const failed = new Set<Item>();
  let lastPosition = 0;
  let loaded: Promise<void> | null = null;
  let ready = false;
  let pausedUntil = 0; // a rate limit counts all rooms

  const laneOf = (roomId: string): Lane => {
    const lane = lanes.get(roomId) ?? { roomId, items: [], busy: false, attempt: 0 };
    lanes.set(roomId, lane);
    return lane;
  };
  const size = (): number => [...lanes.values()].reduce((sum, lane) => sum + lane.items.length, failed.size);
  const nextPosition = (): number => {
    lastPosition = Math.max(lastPosition + 1, Date.now()); // above those of an earlier life
    return lastPosition;
  };
  const keep = (item: Item, how: Promise<void>): void => {
    item.stored = how.catch(options.storeFailed);
  };
  const to = (item: Item, state: OutgoingState): void => {
    item.state = state;
    options.changed(item);
  };

  function itemOf(entry: OutboxEntry): Item {
    let settle: Item['settle'] | undefined;
    const sent = new Promise<Ack>((resolve, reject) => {
      settle = { resolve, reject };
    });
    sent.catch(() => undefined); // whoever doesn't wait for it reads `state`
    const { id, room_id, body, created_at } = entry;
    const item = { id, room_id, body, created_at, entry, sent, settle } as Item;
    return Object.assign(item, {
      state: entry.failed ? 'failed' : 'queued',
      error: entry.failed ? errorOf(entry.failed) : null,
      ack: null,
      stored: Promise.resolve(),
      retry: () => retry(item),
      discard: () => discard(item),
    } as const);
  }

  function retry(item: Item): void {
    if (!failed.delete(item)) return;
    const { failed: _, ...entry } = item.entry;
    item.entry = { ...entry, position: nextPosition() };
    item.error = null;
    keep(item, store.put(item.entry));
    enqueue(item);
  }

  function discard(item: Item): boolean {
    const items = lanes.get(item.room_id)?.items ?? [];
    const index = items.indexOf(item);
    if (!failed.delete(item) && (index === -1 || item.state !== 'queued')) return false;
    if (index !== -1) items.splice(index, 1);
    keep(
      item,
      item.stored.then(() => store.remove(item.id)),
    );
    item.settle.reject(localError('closed', 'The message was discarded.'));
    options.changed(item);
    return true;
  }

  function enqueue(item: Item): void {
    const lane = laneOf(item.room_id);
    lane.items.push(item);
    to(item, 'queued');
    void run(lane);
  }

  async function run(lane: Lane): Promise<void> {
    if (lane.busy || !ready) return;
    lane.busy = true;
    for (let item = lane.items[0]; item !== undefined && options.connected(); item = lane.items[0]) {
      const pause = pausedUntil - Date.now();
      if (pause > 0) {
        later(lane, pause);
        break;
      }
      to(item, 'sending');
      await item.stored;
      const waitMs = await attempt(lane, item);
      if (waitMs === null) continue;
      later(lane, waitMs);
      break;
    }
    lane.busy = false;
    if (lane.items.length === 0) lanes.delete(lane.roomId);
  }

  /** Sends the first of a lane. Returns how long to wait before the next attempt, or null. */
  async function attempt(lane: Lane, item: Item): Promise<number | null> {
    try {
      item.ack = await options.send(item.entry);
    } catch (error) {
      const why = error instanceof ParleyError ? error : localError('closed', String(error));
      if (!isRetryable(why)) {
        giveUp(lane, item, why);
        return null;
      }
      to(item, 'queued');
      if (why instanceof ConnectionError && !options.connected()) return null; // `flush` goes on
      const waitMs = why.retryAfterMs ?? backoffMs(lane.attempt++, options.backoff);
      if (why.code === 'rate_limited') pausedUntil = Date.now() + waitMs;
      return waitMs;
    }
    lane.attempt = 0;
    lane.items.shift();
    keep(item, store.remove(item.id));
    to(item, 'sent');
    item.settle.resolve(item.ack);
    return null;
  }

  function giveUp(lane: Lane, item: Item, why: ParleyError): void {
    lane.items.shift();
    failed.add(item);
    item.error = why;
    item.entry = { ...item.entry, failed: { code: why.code, error: why.message } };
    keep(item, store.put(item.entry));
    to(item, 'failed');
    item.settle.reject(why);
  }

  function later(lane: Lane, ms: number): void {
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => void run(lane), ms);
  }

  async function load(): Promise<void> {
    const entries = await store.load();
    const early = [...lanes.values()].flatMap((lane) => lane.items); // added while the store was being read
    const known = new Set(early.map(({ id }) => id));
    for (const entry of [...entries].sort((a, b) => b.position - a.position)) {
      if (known.has(entry.id)) continue;
      lastPosition = Math.max(lastPosition, entry.position);
      const item = itemOf(entry);
      if (entry.failed) failed.add(item);
      else laneOf(entry.room_id).items.unshift(item);
      options.changed(item);
    }
    for (const item of early.sort((a, b) => a.entry.position - b.entry.position)) {
      item.entry = { ...item.entry, position: nextPosition() }; // behind what an earlier life left
      keep(item, store.put(item.entry));
    }
  }

  const outbox: Outbox = {
    add(roomId, body) {
      if (size() >= options.limit) throw localError('queue_full', 'Too many messages are waiting.');
      const created_at = new Date().toISOString();
      const item = itemOf({ id: newId(), room_id: roomId, body, position: nextPosition(), created_at });
      keep(item, store.put(item.entry));
      enqueue(item);
      return item;
    },
    list: (roomId) =>
      [...failed, ...[...lanes.values()].flatMap((lane) => lane.items)]
        .filter((item) => roomId === undefined || item.room_id === roomId)
        .sort((a, b) => a.entry.position - b.entry.position),
    load: () => {
      loaded ??= load()
        .catch(options.storeFailed)
        .then(() => {
          ready = true;
          outbox.flush();
        });
      return loaded;
    },
    flush: () => {
      for (const lane of lanes.values()) void run(lane);
    },
    stop: () => {
      for (const lane of lanes.values()) clearTimeout(lane.timer);
    },
  };
  return outbox;
}
