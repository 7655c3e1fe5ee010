/**
 * What events cost in a cluster, by the formulas of docs/scaling.md, beside a simulation that deals members out to nodes by
 * chance, and from what one event was measured to cost, where the first limit is: `npm run bench:scaling`. No server is involved.
 */
const ROUNDS = 200;
const BYTES = { entry: 700, presencePair: 16, presenceUser: 60, alive: 60 };
const PRESENCE_ROUND_S = 8;

export interface Cluster {
  readonly nodes: number;
  readonly usersPerNode: number;
  readonly roomsPerUser: number;
  readonly members: number;
  readonly messagesPerSecond: number;
}

/** Nodes on which at least one of a room's members, dealt out evenly, is connected. */
export function expectedNodes(nodes: number, members: number): number {
  return nodes * (1 - (1 - 1 / nodes) ** members);
}

/** What one second costs: entries read in the whole cluster, sends to sockets, bytes through Redis. */
export function costs({ nodes, usersPerNode, roomsPerUser, members, messagesPerSecond }: Cluster) {
  const concerned = expectedNodes(nodes, members);
  const told = usersPerNode * nodes * (BYTES.presenceUser + roomsPerUser * BYTES.presencePair);
  return {
    entriesRead: messagesPerSecond * (nodes - 1),
    entriesUseful: messagesPerSecond * Math.max(0, concerned - 1),
    deliveries: messagesPerSecond * members,
    redisInBytes: messagesPerSecond * BYTES.entry + told / PRESENCE_ROUND_S + nodes * BYTES.alive,
    redisOutBytes:
      (nodes - 1) * (messagesPerSecond * BYTES.entry + told / PRESENCE_ROUND_S + nodes * BYTES.alive),
    headsPolledPerSecond: {
      healthy: (usersPerNode * roomsPerUser * nodes) / 9,
      away: (usersPerNode * roomsPerUser * nodes) / 1.3,
    },
  };
}

/** Deals members out by chance and counts the nodes concerned, on average over rounds. */
export function simulatedNodes(nodes: number, members: number, rounds = ROUNDS): number {
  let total = 0;
  for (let round = 0; round < rounds; round++) {
    const concerned = new Set<number>();
    for (let member = 0; member < members; member++) concerned.add(Math.floor(Math.random() * nodes));
    total += concerned.size;
  }
  return total / rounds;
}

/**
 * What one event costs, microseconds of a core, as measured (docs/scaling.md says how and on what), and what a socket holds.
 * Other machines differ by a factor; what is compared here are the limits among each other.
 */
export const MEASURED = {
  /** The front's: a sent frame read, checked and handed on, its acknowledgement written. */
  frontMessage: 42,
  /** The front's: an event to one socket. */
  frontDelivery: 5.1,
  /** The shard's: admitted, batched, encoded, published, told to the bus. */
  shardMessage: 64,
  /** The shard’s: another node’s message, at most; a bench that also publishes costs so much for an entry. */
  foreignMessage: 17,
  /** PostgreSQL's: a message committed in a batch, search included. */
  postgresMessage: 82,
  /** Bytes of memory that a joined socket holds. */
  socketBytes: 5_500,
};

/** How busy a core may be planned, of all it has: latency grows fast beyond. */
const PLANNED = 0.6;
const SOCKETS_PER_PROCESS = 19_000; // of the 20,000 descriptors that a process often may hold
const POSTGRES_CORES = 16;

export interface Load {
  readonly sockets: number;
  readonly messagesPerSecond: number;
  readonly members: number;
}

/** How many nodes (a front and a shard, two cores) a load needs for each of what they divide, and what they can't divide. */
export function needs({ sockets, messagesPerSecond, members }: Load) {
  const core = PLANNED * 1e6;
  const { frontMessage, frontDelivery, shardMessage, foreignMessage, postgresMessage } = MEASURED;
  const front = (messagesPerSecond * (frontMessage + members * frontDelivery)) / core;
  // A shard writes its share and reads the rest: M s / N + M e (1 - 1/N) = core.
  const readsAll = messagesPerSecond * foreignMessage;
  const shard = (messagesPerSecond * (shardMessage - foreignMessage)) / (core - readsAll);
  return {
    bySockets: Math.ceil(sockets / SOCKETS_PER_PROCESS),
    byFront: Math.ceil(front),
    /** Infinite: reading what all others write fills a shard's core, however many nodes there are. */
    byShard: readsAll >= core ? Number.POSITIVE_INFINITY : Math.ceil(shard),
    postgresCores: (messagesPerSecond * postgresMessage) / core,
  };
}

/** Messages a second at which something that nodes don't divide is full. */
export function ceilings() {
  const core = PLANNED * 1e6;
  return {
    postgres: (core * POSTGRES_CORES) / MEASURED.postgresMessage,
    foreignMessages: core / MEASURED.foreignMessage,
  };
}

function table(): void {
  const kib = (bytes: number) => `${Math.round(bytes / 1_024)}`.padStart(9);
  const columns = [
    'nodes',
    'members',
    'concerned',
    'simulated',
    'useful/s',
    'read/s',
    'in KiB/s',
    'out KiB/s',
  ];
  console.log(columns.map((column) => column.padStart(9)).join(' '));
  for (const nodes of [1, 2, 4, 8, 16]) {
    for (const members of [2, 10, 100]) {
      const cluster = {
        nodes,
        usersPerNode: 5_000,
        roomsPerUser: 10,
        members,
        messagesPerSecond: 2_000 * nodes,
      };
      const cost = costs(cluster);
      const cells = [
        nodes,
        members,
        expectedNodes(nodes, members).toFixed(2),
        simulatedNodes(nodes, members).toFixed(2),
      ];
      const rates = [Math.round(cost.entriesUseful), Math.round(cost.entriesRead)];
      console.log(
        [...cells, ...rates].map((cell) => String(cell).padStart(9)).join(' '),
        kib(cost.redisInBytes),
        kib(cost.redisOutBytes),
      );
    }
  }
}

/** Of sockets that each send a message in so many seconds, in rooms of ten. */
function sizes(): void {
  const columns = [
    'sockets',
    'every s',
    'msg/s',
    'sockets:',
    'front:',
    'shard:',
    'nodes',
    'pg cores',
    'first limit',
  ];
  console.log(`\nnodes needed by each\n${columns.map((column) => column.padStart(11)).join(' ')}`);
  for (const [sockets, everySeconds] of [
    [10_000, 1],
    [10_000, 10],
    [100_000, 10],
    [100_000, 60],
    [1_000_000, 60],
    [1_000_000, 600],
  ] as const) {
    const messagesPerSecond = sockets / everySeconds;
    const need = needs({ sockets, messagesPerSecond, members: 10 });
    const nodes = { sockets: need.bySockets, front: need.byFront, shard: need.byShard };
    const most = Math.max(...Object.values(nodes));
    const first = Object.entries(nodes).find(([, count]) => count === most)?.[0] ?? '';
    const isPostgres = need.postgresCores > POSTGRES_CORES;
    const cells = [sockets, everySeconds, Math.round(messagesPerSecond), ...Object.values(nodes), most];
    const limit = isPostgres ? 'PostgreSQL' : first;
    console.log(
      [...cells, need.postgresCores.toFixed(1), limit].map((cell) => String(cell).padStart(11)).join(' '),
    );
  }
  const { postgres, foreignMessages } = ceilings();
  console.log(
    `\nnot divided by nodes: ${Math.round(postgres)} msg/s of one PostgreSQL with ${POSTGRES_CORES} cores,`,
  );
  console.log(`${Math.round(foreignMessages)} msg/s that each shard reads of the others`);
}

table();
sizes();
