/** Takes an entry or a signal of another node. Called in turn, never inside a call of the bus; must not throw. */
export type BusHandler = (partition: number, bytes: Uint8Array) => void;

/** What a bus has done since it was made; counters only rise. */
export interface BusStats {
  /** Entries and signals that were accepted and sent. */
  readonly published: number;
  /** Given to the bus and not known to have been sent: a full queue, or a bus that was away. */
  readonly dropped: number;
  /** Handed to a handler. */
  readonly received: number;
  /** Read and skipped, as they were the own node's. */
  readonly skippedOwn: number;
  /** Read and skipped, as they had come before, or came after later ones of their publisher. */
  readonly skippedStale: number;
  /** Never read, as gaps in their publishers' numbers show. */
  readonly missed: number;
  readonly reconnects: number;
  /** Connections given up because nothing had come over them for too long. */
  readonly watchdogTrips: number;
  /** Milliseconds between sending and receipt of the entry read last, by two machines' clocks; 0 before the first. */
  readonly lagMs: number;
  readonly healthy: boolean;
}

/**
 * Carries what a node has committed to the other nodes, and signals between them that nobody keeps: presence,
 * typing, caches to forget. Losing entries costs latency, never data: whoever misses a rev reads it from
 * PostgreSQL. A lost signal is lost, so what depends on one needs a time limit besides.
 *
 * Every shard has a bus of its own; those of a node share a node id. Partitions are whole numbers from 0 to
 * PARTITIONS - 1.
 */
export interface Bus {
  /** There is nobody else, and never will be: nothing needs to be told. */
  readonly solo: boolean;
  /**
   * Hands an entry over and returns at once; the bytes may be reused afterwards. A bus' entries and signals of
   * one partition arrive in the order in which they were given to it, each at most once: they are lost when the
   * bus is away or a queue is full, and nothing says so. Queues are bounded, on both sides. After `close`
   * this does nothing.
   */
  publish(partition: number, entry: Uint8Array): void;
  /** As `publish`, for those who subscribe to signals. */
  signal(partition: number, bytes: Uint8Array): void;
  /**
   * From when this resolves, other nodes' entries of these partitions come to `handler`; what was published
   * before a partition's first subscription doesn't. The node's own entries never come back. Further calls
   * add partitions; for one that is subscribed already the new handler takes the place of the old.
   *
   * Never rejects. Where the bus is away it resolves after some seconds all the same, and entries come from
   * when the bus is there.
   */
  subscribe(partitions: readonly number[], handler: BusHandler): Promise<void>;
  /** As `subscribe`, for signals. The two have handlers of their own. */
  subscribeSignals(partitions: readonly number[], handler: BusHandler): Promise<void>;
  /** Whether entries seem to pass at the moment; false once closed. */
  healthy(): boolean;
  stats(): BusStats;
  /** Ends it: no handler is called any more, entries still queued are lost. Again is fine. */
  close(): Promise<void>;
}
