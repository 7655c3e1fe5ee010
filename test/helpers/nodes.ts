import { createTestDatabase, type TestDatabase } from './database.js';
import { must, until } from './deadline.js';
import { type Server, startServer } from './server-process.js';

/** Several servers on one database: nodes that have to behave as one. */
export interface Nodes {
  readonly database: TestDatabase;
  /** Changes where a node is started again. */
  readonly servers: readonly Server[];
  readonly node: (index: number) => Server;
  /** Ends a node with SIGKILL and starts another in its place. */
  readonly restart: (index: number) => Promise<void>;
  readonly start: (index: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** @param env settings of each node, in their order; how many they are is how many nodes there are */
export async function startNodes(env: readonly Readonly<Record<string, string>>[]): Promise<Nodes> {
  const database = await createTestDatabase();
  const launch = (index: number) => startServer({ env: { DATABASE_URL: database.url, ...env[index] } });
  const servers = await Promise.all(env.map((_, index) => launch(index)));
  const start = async (index: number): Promise<void> => {
    servers[index] = await launch(index);
  };
  return {
    database,
    servers,
    node: (index) => must(servers[index]),
    start,
    restart: async (index) => {
      must(servers[index]).kill('SIGKILL');
      await must(servers[index]).exit;
      await start(index);
    },
    stop: async () => {
      for (const server of servers) server.kill('SIGTERM');
      await Promise.all(servers.map((server) => server.exit));
      await database.drop();
    },
  };
}

/**
 * The value of a counter or gauge of a node, all threads added up; 0 where there is none.
 * @param label of those series only that have it, e.g. `operation="insert"`
 */
export async function metric(server: Server, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Waits until every shard of every node says that its bus passes entries, or none does. */
export async function busesHealthy(servers: readonly Server[], wanted: boolean): Promise<void> {
  await until(
    async () => {
      const shards = await Promise.all(
        servers.map(async (server) => {
          const text = await (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
          return [...text.matchAll(/^parley_bus_healthy\{[^}]*\} (\d)/gm)].map((found) => found[1] === '1');
        }),
      );
      return shards.every((of) => of.length > 0 && of.every((healthy) => healthy === wanted));
    },
    `buses that are ${wanted ? 'healthy' : 'not healthy'}`,
  );
}
