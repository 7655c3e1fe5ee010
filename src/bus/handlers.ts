import type { BusHandler } from './port.js';

/** An event is what a node has committed; a signal is what nobody keeps. */
export type Kind = 'event' | 'signal';

/** Who takes what of which partition. */
export interface Handlers {
  add(kind: Kind, partitions: readonly number[], handler: BusHandler): void;
  of(kind: Kind, partition: number): BusHandler | undefined;
}

export function createHandlers(): Handlers {
  const byKind = { event: new Map<number, BusHandler>(), signal: new Map<number, BusHandler>() };
  return {
    add(kind, partitions, handler) {
      for (const partition of partitions) byKind[kind].set(partition, handler);
    },
    of: (kind, partition) => byKind[kind].get(partition),
  };
}
