import type { ShardStart } from '../src/ipc/messages.js';
import { runShard } from '../src/shard/shard.js';

/** The long task of one shard's thread: ends when the shard is drained, rejects when it crashes. */
export async function serve(start: ShardStart): Promise<void> {
  await runShard(start);
}
