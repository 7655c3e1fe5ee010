import { afterAll } from 'vitest';
import { must, until } from './deadline.js';
import { type RedisServer, startRedis } from './redis.js';

const SLOTS = 16_384;

export interface RedisCluster {
  /** The primaries, each with a third of the slots or what is its share. */
  readonly primaries: readonly RedisServer[];
  /** Of the first primary; takes its place when that is away. */
  readonly replica: RedisServer;
}

/** A Redis Cluster of the test's own. Ends with the test file. */
export async function startRedisCluster(primaryCount = 3): Promise<RedisCluster> {
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  const servers = await Promise.all(Array.from({ length: primaryCount + 1 }, () => startRedis(settings)));
  afterAll(() => Promise.all(servers.map((server) => server.kill())));
  const primaries = servers.slice(0, primaryCount);
  const [first, replica] = [must(servers[0]), must(servers.at(-1))];
  for (const [i, server] of primaries.entries()) {
    const [from, to] = [i, i + 1].map((share) => Math.ceil((share * SLOTS) / primaryCount));
    await server.command('CLUSTER', 'ADDSLOTSRANGE', must(from), must(to) - 1);
  }
  for (const server of servers.slice(1))
    await server.command('CLUSTER', 'MEET', '127.0.0.1', Number(new URL(server.url).port));
  for (const server of servers.slice(1))
    await first.command('CLUSTER', 'MEET', '127.0.0.1', Number(new URL(server.url).port));
  const isWhole = async (server: RedisServer) => {
    const info = String(await server.command('CLUSTER', 'INFO'));
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${servers.length}`);
  };
  for (const server of servers) await until(() => isWhole(server), 'a whole cluster', 30_000);
  const id = String(await first.command('CLUSTER', 'MYID'));
  await replica.command('CLUSTER', 'REPLICATE', id);
  const isLinked = async () =>
    String(await replica.command('INFO', 'replication')).includes('link_status:up');
  await until(isLinked, 'the replica', 30_000);
  return { primaries, replica };
}
