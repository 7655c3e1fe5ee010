/**
 * How many sockets are open from each address, and how many of these haven't said whose they are. As many addresses
 * are known as have sockets.
 */
const ANONYMOUS_PER_ADDRESS_MAX = 200; // each may hold a frame's bytes that nobody answers for

interface Count {
  all: number;
  anonymous: number;
}

export interface ConnectionCounts {
  /** Whether one more socket is one too many. */
  tooMany(address: string, anonymous: boolean): boolean;
  opened(address: string, anonymous: boolean): void;
  /** An anonymous socket has said whose it is. */
  identified(address: string): void;
  closed(address: string, anonymous: boolean): void;
}

/** @param maxPerAddress 0 turns the limits off */
export function countConnections(maxPerAddress: number): ConnectionCounts {
  const byAddress = new Map<string, Count>();

  return {
    tooMany(address, anonymous) {
      const count = byAddress.get(address);
      if (maxPerAddress === 0 || count === undefined) return false;
      return count.all >= maxPerAddress || (anonymous && count.anonymous >= ANONYMOUS_PER_ADDRESS_MAX);
    },
    opened(address, anonymous) {
      const count = byAddress.get(address) ?? { all: 0, anonymous: 0 };
      count.all++;
      if (anonymous) count.anonymous++;
      byAddress.set(address, count);
    },
    identified(address) {
      const count = byAddress.get(address);
      if (count !== undefined) count.anonymous--;
    },
    closed(address, anonymous) {
      const count = byAddress.get(address);
      if (count === undefined) return;
      if (anonymous) count.anonymous--;
      if (--count.all === 0) byAddress.delete(address);
    },
  };
}
