import type { Bus, BusHandler } from './port.js';

/** Entries that wait for one subscriber; more are lost, as on a network that is too slow. */
const MAX_QUEUED = 10_000;

interface Entry {
  readonly partition: number;
  readonly bytes: Uint8Array;
}

interface Attached {
  readonly nodeId: string;
  readonly receive: (entry: Entry) => void;
}

/** What connects the buses of one process. */
export interface MemoryHub {
  readonly attached: Set<Attached>;
}

export function createMemoryHub(): MemoryHub {
  return { attached: new Set() };
}

/** A {@link Bus} within a process: for a single node, and for tests of several. */
export function memoryBus(hub: MemoryHub, nodeId: string): Bus {
  const handlers = new Map<number, BusHandler>();
  let queue: Entry[] = [];
  let closed = false;

  const deliver = () => {
    const entries = queue;
    queue = [];
    for (const { partition, bytes } of entries) {
      if (closed) return;
      handlers.get(partition)?.(partition, bytes);
    }
  };
  const self: Attached = {
    nodeId,
    receive: (entry) => {
      if (!handlers.has(entry.partition) || queue.length >= MAX_QUEUED) return;
      if (queue.push(entry) === 1) setImmediate(deliver);
    },
  };
  hub.attached.add(self);

  return {
    publish(partition, entry) {
      if (closed) return;
      for (const other of hub.attached) {
        if (other.nodeId !== nodeId) other.receive({ partition, bytes: new Uint8Array(entry) });
      }
    },
    async subscribe(partitions, handler) {
      if (closed) return;
      for (const partition of partitions) handlers.set(partition, handler);
    },
    healthy: () => !closed,
    async close() {
      closed = true;
      queue = [];
      hub.attached.delete(self);
    },
  };
}
