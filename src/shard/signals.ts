import type { Bus } from '../bus/port.js';
import type { EndedSession, PresenceNews, PresentElsewhere } from '../ipc/messages.js';
import type { Logger } from '../observability/logger.js';
import type { Fact } from '../protocol/facts.js';
import { PARTITIONS, partitionOf, type RoomId, type UserId } from '../protocol/ids.js';
import type { Status } from '../protocol/signals.js';
import { decodeMsgpack, encodeMsgpack } from '../protocol/strict-msgpack.js';

/**
 * What nodes tell each other outside of the log, each on the partition of the room or user it is about. A lost one
 * costs freshness: what must hold all the same (sessions, standings) is found by the watch over the database.
 */
export type Signal =
  | readonly ['room', room_id: RoomId, type: string, payload: unknown, timestamp: number, fact?: Fact]
  | readonly [
      'user',
      user_id: UserId,
      room_id: RoomId,
      type: string,
      payload: unknown,
      timestamp: number,
      fact?: Fact,
    ]
  | readonly ['standing', room_id: RoomId, user_id: UserId | null]
  | readonly ['revoke', room_id: RoomId, user_id: UserId | null, before_ms: number]
  | readonly ['account', user_id: UserId]
  | readonly ['renamed', user_id: UserId, username: string]
  | readonly ['status', user_id: UserId, status: Status]
  | readonly ['ended', user_id: UserId, ended: readonly EndedSession[]];

type Presence = readonly ['presence', PresenceNews | PackedHere];

/** `here` with ids as bytes: 16 a room rather than 38. */
interface PackedHere {
  readonly kind: 'here';
  readonly node: string;
  readonly packed: readonly (readonly [ids: Uint8Array, username: string, chosen: Status | null])[];
}

export interface Signals {
  tell(signal: Signal): void;
  tellPresence(partition: number, news: PresenceNews): void;
}

/** Connects a shard to the signals about its partitions. */
export async function connectSignals(
  bus: Bus,
  where: { readonly shard: number; readonly shards: number },
  heard: { readonly signal: (signal: Signal) => void; readonly presence: (news: PresenceNews) => void },
  log: Pick<Logger, 'warn'>,
): Promise<Signals> {
  await bus.subscribeSignals(partitionsOf(where), (partition, bytes) => {
    try {
      const signal = decodeMsgpack(bytes) as Signal | Presence;
      if (signal[0] === 'presence') heard.presence(unpack(signal[1]));
      else heard.signal(signal);
    } catch (error) {
      log.warn({ event: 'bus_signal_unreadable', partition, err: error });
    }
  });
  const send = (partition: number, signal: Signal | Presence) => {
    if (!bus.solo) bus.signal(partition, encodeMsgpack(signal));
  };
  return {
    tell: (signal) => send(partitionOf(signal[1]), signal),
    tellPresence: (partition, news) => send(partition, ['presence', pack(news)]),
  };
}

/** The partitions that a shard owns (DESIGN §1). */
export function partitionsOf(where: { readonly shard: number; readonly shards: number }): number[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => partition).filter(
    (partition) => partition % where.shards === where.shard,
  );
}

function pack(news: PresenceNews): PresenceNews | PackedHere {
  if (news.kind !== 'here') return news;
  const packed = news.users.map(([user_id, username, chosen, rooms]) => {
    const ids = Buffer.from([user_id, ...rooms].join('').replaceAll('-', ''), 'hex');
    return [ids, username, chosen] as const;
  });
  return { kind: 'here', node: news.node, packed };
}

function unpack(news: PresenceNews | PackedHere): PresenceNews {
  if (!('packed' in news)) return news;
  const users = news.packed.map(([ids, username, chosen]): PresentElsewhere => {
    const [user_id = '', ...rooms] = uuids(Buffer.from(ids.buffer, ids.byteOffset, ids.length));
    return [user_id as UserId, username, chosen, rooms as RoomId[]];
  });
  return { kind: 'here', node: news.node, users };
}

function uuids(bytes: Buffer): string[] {
  return Array.from({ length: bytes.length / 16 }, (_, i) => {
    const hex = bytes.toString('hex', i * 16, i * 16 + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  });
}
