import { Redis, type RedisOptions } from 'ioredis';

/** Where a key is kept, and how to log in there: what a client needs to connect. */
export type Place = Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls'> & {
  readonly host: string;
  readonly port: number;
};

/** Says where a key is kept at present. Rejects where nobody can say. */
export type Locate = (key: string) => Promise<Place>;

const ASK_MS = 1_000; // a node that says nothing isn't asked for longer
const NODES_MAX = 1_000; // remembered; Redis' own limit of a cluster

/** One range of slots and its nodes, the primary first, as CLUSTER SLOTS gives it. */
type SlotRange = readonly [first: number, last: number, ...nodes: (readonly [host: string, port: number])[]];

/** `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS. */
export function onOneServer(url: string): () => Promise<Place> {
  const place = placeOf(url);
  return async () => place;
}

/**
 * The primary of a key's slot. `url` is any node of the cluster; whoever it has named since is asked when it is away.
 * All nodes take the same login.
 */
export function inCluster(url: string): Locate {
  const seed = placeOf(url);
  let known: readonly Place[] = [seed];
  return async (key) => {
    let cause: unknown = null;
    for (const node of known) {
      try {
        const { slot, ranges } = await ask(node, key);
        const places = ranges.map(([first, last, primary]) => ({
          first,
          last,
          place: at(seed, node, primary),
        }));
        const mine = places.find(({ first, last }) => first <= slot && slot <= last);
        const others = ranges.flatMap(([, , ...nodes]) => nodes.map((each) => at(seed, node, each)));
        known = distinct([...places.map(({ place }) => place), ...others, seed]).slice(0, NODES_MAX);
        if (mine !== undefined) return mine.place;
        cause = new Error(`nobody serves slot ${slot}`);
      } catch (error) {
        cause = error;
      }
    }
    throw cause;
  };
}

async function ask(node: Place, key: string): Promise<{ slot: number; ranges: readonly SlotRange[] }> {
  const client = new Redis({
    ...node,
    retryStrategy: () => null,
    connectTimeout: ASK_MS,
    commandTimeout: ASK_MS,
    enableReadyCheck: false,
    disableClientInfo: true,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
  });
  client.on('error', () => undefined); // it also rejects what was asked
  try {
    await client.connect();
    const [slot, ranges] = await Promise.all([
      client.cluster('KEYSLOT', key),
      client.cluster('SLOTS') as Promise<unknown>,
    ]);
    return { slot, ranges: ranges as readonly SlotRange[] };
  } finally {
    client.disconnect();
  }
}

/** A node that doesn't know its own address gives an empty one: it is the one that was asked. */
function at(seed: Place, asked: Place, node: readonly [host: string, port: number] | undefined): Place {
  const [host, port] = node ?? ['', seed.port];
  return { ...seed, host: host || asked.host, port };
}

function distinct(places: readonly Place[]): Place[] {
  return [...new Map(places.map((place) => [`${place.host} ${place.port}`, place])).values()];
}

/** Only what the address says: ioredis itself would also take any of its options from the query. */
function placeOf(text: string): Place {
  const url = new URL(text);
  const db = Number(url.pathname.slice(1));
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || 'localhost',
    port: url.port === '' ? 6379 : Number(url.port),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    db: Number.isSafeInteger(db) ? db : 0,
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}
