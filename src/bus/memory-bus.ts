import { createHandlers, type Kind } from './handlers.js';
import type { Bus } from './port.js';

/** Entries that wait for one subscriber; more are lost, as on a network that is too slow. */
const MAX_QUEUED = 10_000;

interface Entry {
  readonly kind: Kind;
  readonly partition: number;
  readonly bytes: Uint8Array;
}

interface Attached {
  readonly nodeId: string;
  /** False where the queue is full. */
  readonly receive: (entry: Entry) => boolean;
}

/** What connects the buses of one process. */
export interface MemoryHub {
  readonly attached: Set<Attached>;
}

export function createMemoryHub(): MemoryHub {
  return { attached: new Set() };
}

/** A {@link Bus} within a process: for a single node (`hub` null), and for tests of several. */
export function memoryBus(hub: MemoryHub | null, nodeId: string): Bus {
  const handlers = createHandlers();
  const totals = { published: 0, dropped: 0, received: 0 };
  let queue: Entry[] = [];
  let closed = false;

  const deliver = () => {
    const entries = queue;
    queue = [];
    for (const { kind, partition, bytes } of entries) {
      if (closed) return;
      totals.received++;
      handlers.of(kind, partition)?.(partition, bytes);
    }
  };
  const self: Attached = {
    nodeId,
    receive: (entry) => {
      if (handlers.of(entry.kind, entry.partition) === undefined) return true;
      if (queue.length >= MAX_QUEUED) return false;
      if (queue.push(entry) === 1) setImmediate(deliver);
      return true;
    },
  };
  hub?.attached.add(self);

  const send = (kind: Kind, partition: number, bytes: Uint8Array) => {
    if (closed) return;
    totals.published++;
    for (const other of hub?.attached ?? []) {
      if (other.nodeId === nodeId) continue;
      if (!other.receive({ kind, partition, bytes: new Uint8Array(bytes) })) totals.dropped++;
    }
  };
  const healthy = () => !closed;

  return {
    solo: hub === null,
    publish: (partition, entry) => send('event', partition, entry),
    signal: (partition, bytes) => send('signal', partition, bytes),
    async subscribe(partitions, handler) {
      handlers.add('event', partitions, handler);
    },
    async subscribeSignals(partitions, handler) {
      handlers.add('signal', partitions, handler);
    },
    healthy,
    stats: () => ({
      ...totals,
      skippedOwn: 0,
      skippedStale: 0,
      missed: 0,
      reconnects: 0,
      watchdogTrips: 0,
      lagMs: 0,
      healthy: healthy(),
    }),
    async close() {
      closed = true;
      queue = [];
      hub?.attached.delete(self);
    },
  };
}
