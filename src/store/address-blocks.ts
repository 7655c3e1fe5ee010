import { type Db, run } from './client.js';
import { noteOperator } from './operator-log.js';

/** As many as every front keeps in memory: some 2 MB, and 7 µs a request where ranges are as many as can be. */
export const BLOCKS_MAX = 10_000;
export const BLOCKED_RANGES_MAX = 1_000;

export interface StoredBlock {
  /** CIDR; of a single address without the prefix. */
  readonly network: string;
  /** Null: until it is lifted. */
  readonly expires_at: Date | null;
  readonly reason: string | null;
  readonly created_at: Date;
}

/**
 * Blocks a network, or changes for how long; every node sees it when it next looks. What has expired is removed.
 * @param network an address or CIDR; bits beyond the prefix are ignored
 * @param forMs milliseconds from now; null: until it is lifted
 * @returns the network, or `full`, with nothing changed: there are as many as there can be
 * @throws StoreUnavailable
 */
export async function blockNetwork(
  db: Db,
  network: string,
  { forMs, reason }: { readonly forMs: number | null; readonly reason: string | null },
): Promise<string | 'full'> {
  const blocked = db.begin(async (tx) => {
    await tx`delete from address_blocks where expires_at <= now()`; // also takes the version's lock
    const [added] = await tx<{ network: string; until: string }[]>`
      insert into address_blocks (network, expires_at, reason)
      values (network(${network}::inet), coalesce(now() + ${forMs}::float8 * interval '1 millisecond', 'infinity'),
        ${reason})
      on conflict (network) do update set expires_at = excluded.expires_at, reason = excluded.reason
      returning abbrev(network::inet) as network, expires_at::text as until`;
    if (added === undefined) throw new Error('an upsert without its row');
    const [count] = await tx<{ all: number; ranges: number }[]>`
      select count(*) as all, count(*) filter (where masklen(network) < case family(network) when 4 then 32 else 128 end) as ranges
      from address_blocks`;
    if ((count?.all ?? 0) > BLOCKS_MAX || (count?.ranges ?? 0) > BLOCKED_RANGES_MAX) throw new Full();
    await noteOperator(tx, {
      command: 'block',
      target: added.network,
      details: { until: added.until, reason },
    });
    return added.network;
  });
  return run(blocked).catch((error: unknown) => {
    if (error instanceof Full) return 'full';
    throw error;
  });
}

class Full extends Error {}

/** Lifts the block of exactly this network; false where there is none. @throws StoreUnavailable */
export function unblockNetwork(db: Db, network: string): Promise<boolean> {
  return run(
    db.begin(async (tx) => {
      const [lifted] = await tx<{ network: string }[]>`
        delete from address_blocks where network = network(${network}::inet) and expires_at > now()
        returning abbrev(network::inet) as network`;
      if (lifted === undefined) return false;
      await noteOperator(tx, { command: 'unblock', target: lifted.network });
      return true;
    }),
  );
}

/** What is blocked, the newest first. @throws StoreUnavailable */
export async function blockedNetworks(db: Db): Promise<StoredBlock[]> {
  return [
    ...(await run(db<StoredBlock[]>`
      select abbrev(network::inet) as network, nullif(expires_at, 'infinity') as expires_at, reason, created_at
      from address_blocks where expires_at > now() order by created_at desc, network`)),
  ];
}
