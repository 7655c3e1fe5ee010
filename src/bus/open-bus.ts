import type { Config } from '../config.js';
import { clusterBus } from './cluster-bus.js';
import { localBus } from './local-bus.js';
import { memoryBus } from './memory-bus.js';
import type { Bus } from './port.js';
import type { BusLogger } from './quiet-log.js';
import { redisBus } from './redis-bus.js';
import { onOneServer } from './redis-place.js';

/**
 * The bus of one shard: Redis where there is one, else the hub of the processes of this machine, else none but the
 * process itself.
 */
export function openBus(
  config: Pick<Config, 'redis'>,
  hubPath: string | null,
  nodeId: string,
  log: BusLogger,
): Bus {
  if (config.redis !== null) {
    const { url, cluster } = config.redis;
    return cluster ? clusterBus({ url, nodeId, log }) : redisBus({ locate: onOneServer(url), nodeId, log });
  }
  return hubPath === null ? memoryBus(null, nodeId) : localBus(hubPath, nodeId);
}
