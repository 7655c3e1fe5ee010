import { connect, type Socket } from 'node:net';
import { createHandlers, type Kind } from './handlers.js';
import { hubFrame, hubFrameReader, subscribeType } from './hub-frames.js';
import type { Bus, BusHandler } from './port.js';

const BACKLOG_MAX_BYTES = 16 * 1024 * 1024; // towards a hub that reads too slowly; what comes then is lost
const QUEUED_MAX = 10_000; // frames of one turn of the event loop, which go together
const RECONNECT_MS = 100;
const SUBSCRIBE_WITHIN_MS = 3_000; // then it resolves all the same (port.ts)

/** A {@link Bus} between the processes of one machine, by the hub of their supervisor (`local-hub.ts`). */
export function localBus(path: string, nodeId: string): Bus {
  const handlers = createHandlers();
  const totals = { published: 0, dropped: 0, received: 0, reconnects: 0 };
  const subscribed: Record<Kind, Set<number>> = { event: new Set(), signal: new Set() };
  let waiting: { left: number; readonly resolve: () => void }[] = [];
  let queue: Buffer[] = [];
  let socket: Socket | null = null;
  let connected = false;
  let closed = false;
  let retry: NodeJS.Timeout | null = null;

  function open(): void {
    const fresh = connect(path);
    socket = fresh;
    fresh.on('connect', () => {
      connected = true;
      fresh.write(hubFrame('hello', 0, Buffer.from(nodeId)));
      for (const kind of ['event', 'signal'] as const) {
        for (const partition of subscribed[kind]) fresh.write(hubFrame(subscribeType(kind), partition));
      }
    });
    fresh.on(
      'data',
      hubFrameReader(({ type, partition, bytes }) => {
        if (closed) return;
        if (type === 'subscribed') return settle();
        if (type !== 'event' && type !== 'signal') return;
        totals.received++;
        handlers.of(type, partition)?.(partition, bytes);
      }),
    );
    fresh.on('error', () => fresh.destroy());
    fresh.on('close', () => {
      connected = false;
      if (closed) return;
      totals.reconnects++;
      retry = setTimeout(open, RECONNECT_MS);
    });
  }
  open();

  /** The hub answers in order: an answer belongs to the first that waits. */
  function settle(): void {
    const [first] = waiting;
    if (first === undefined || --first.left > 0) return;
    waiting.shift();
    first.resolve();
  }

  function send(kind: Kind, partition: number, bytes: Uint8Array): void {
    if (closed) return;
    const isFull = queue.length >= QUEUED_MAX || (socket?.writableLength ?? 0) > BACKLOG_MAX_BYTES;
    if (!connected || isFull) {
      totals.dropped++;
      return;
    }
    totals.published++;
    if (queue.push(hubFrame(kind, partition, bytes)) === 1) setImmediate(flush);
  }

  function flush(): void {
    const frames = queue;
    queue = [];
    if (connected && frames.length > 0) socket?.write(Buffer.concat(frames));
  }

  function subscribe(kind: Kind, partitions: readonly number[], handler: BusHandler): Promise<void> {
    handlers.add(kind, partitions, handler);
    for (const partition of partitions) subscribed[kind].add(partition);
    if (closed || partitions.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, SUBSCRIBE_WITHIN_MS);
      waiting.push({
        left: partitions.length,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
      // Otherwise the connection tells of all when it comes.
      if (connected)
        for (const partition of partitions) socket?.write(hubFrame(subscribeType(kind), partition));
    });
  }

  const healthy = () => connected && !closed;
  return {
    solo: false,
    publish: (partition, entry) => send('event', partition, entry),
    signal: (partition, bytes) => send('signal', partition, bytes),
    subscribe: (partitions, handler) => subscribe('event', partitions, handler),
    subscribeSignals: (partitions, handler) => subscribe('signal', partitions, handler),
    healthy,
    stats: () => ({
      ...totals,
      skippedOwn: 0,
      skippedStale: 0,
      missed: 0,
      watchdogTrips: 0,
      lagMs: 0,
      healthy: healthy(),
    }),
    async close() {
      closed = true;
      if (retry !== null) clearTimeout(retry);
      for (const { resolve } of waiting) resolve();
      waiting = [];
      socket?.destroy();
    },
  };
}
