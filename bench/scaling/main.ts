/**
 * What events cost in a cluster, by the formulas of docs/scaling.md, beside a simulation that deals members out to nodes by
 * chance: `node dist/bench/scaling/main.js`. No server is involved: it shows what grows with what, not how fast it is.
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

table();
