/** Takes an entry of another node. Called in turn, never inside `publish` or `subscribe`; must not throw. */
export type BusHandler = (partition: number, entry: Uint8Array) => void;

/**
 * Carries what a node has committed to the other nodes. Losing entries costs latency, never data: whoever
 * misses a rev reads it from PostgreSQL. Every shard has a bus of its own; those of a node share a node id.
 */
export interface Bus {
  /**
   * Hands an entry over and returns at once; the bytes may be reused afterwards. A node's entries of one
   * partition arrive in the order in which they were published, each at most once: entries are lost when the
   * bus is away or a queue is full, and nothing says so. Queues are bounded, on both sides. After `close`
   * this does nothing.
   */
  publish(partition: number, entry: Uint8Array): void;
  /**
   * From when this resolves, other nodes' entries of these partitions come to `handler`; what was published
   * before the call doesn't. The node's own entries never come back. Further calls add partitions; for
   * one that is subscribed already the new handler takes the place of the old.
   */
  subscribe(partitions: readonly number[], handler: BusHandler): Promise<void>;
  /** Whether entries seem to pass at the moment; false once closed. */
  healthy(): boolean;
  /** Ends it: no handler is called any more, entries still queued are lost. Again is fine. */
  close(): Promise<void>;
}
