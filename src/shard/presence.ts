import { createLastSeen } from '../auth/last-seen.js';
import type { StatusOf } from '../auth/ports.js';
import type { PresenceStore } from '../auth/presence-port.js';
import type { ToFront, ToShard } from '../ipc/messages.js';
import { shardOf, type UserId } from '../protocol/ids.js';

/** A shard's knowledge of who is online: what the front says, which knows all sockets. */
export interface ShardPresence {
  readonly statusOf: StatusOf;
  changed(message: Extract<ToShard, { t: 'presence' }>): void;
  /** Tells the front what users chose; says nothing where they can't be read. */
  read(user_ids: readonly UserId[]): Promise<void>;
  /** Everybody still online is seen a last time. */
  close(): Promise<void>;
}

export function createShardPresence(deps: {
  readonly shard: number;
  readonly shards: number;
  readonly store: PresenceStore;
  readonly post: (message: ToFront) => void;
  /** A user has no socket any more, for the moment. */
  readonly gone: (user_id: UserId) => void;
  readonly report: (error: unknown) => void;
}): ShardPresence {
  const { store, post } = deps;
  const shown = new Map<UserId, 'online' | 'away'>(); // as many as the front has users with sockets
  const lastSeen = createLastSeen(store.writeLastSeen, deps.report);
  const isMine = (user_id: UserId) => shardOf(user_id, deps.shards) === deps.shard;

  return {
    statusOf: (user_id) => shown.get(user_id) ?? 'offline',
    changed({ online, away, offline, seen_ms, gone }) {
      for (const user_id of online) shown.set(user_id, 'online');
      for (const user_id of away) shown.set(user_id, 'away');
      offline.forEach((user_id, i) => {
        shown.delete(user_id);
        if (isMine(user_id)) lastSeen.note(user_id, seen_ms[i] ?? Date.now());
      });
      for (const user_id of gone) deps.gone(user_id);
    },
    async read(user_ids) {
      post({ t: 'statuses', users: await store.statuses(user_ids) });
    },
    async close() {
      const now = Date.now();
      for (const user_id of shown.keys()) if (isMine(user_id)) lastSeen.note(user_id, now);
      await lastSeen.close();
    },
  };
}
