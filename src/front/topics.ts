import type { StandingSubscription } from '../ipc/messages.js';
import { Encoding } from '../protocol/frames.js';
import { type RoomId, shardOf, type UserId } from '../protocol/ids.js';
import type { Socket } from './socket.js';

interface Topic {
  /** The last rev that went to the topic. */
  rev: number;
  /** Each with when its user's membership began (Grant.joined_ms). */
  readonly sockets: Map<Socket, number>;
  readonly count: Record<Encoding, number>;
}

const NOBODY = { json: 0, msgpack: 0 } as const;

type Bytes = string | Uint8Array;

/** The room topics of uWebSockets, one per room and encoding, and who stands in them. */
export interface Topics {
  /** Subscribes a socket; false where it was already. */
  subscribe(socket: Socket, room_id: RoomId, rev: number, joinedMs: number): boolean;
  /** Unsubscribes a socket; false where it wasn't subscribed. */
  unsubscribe(socket: Socket, room_id: RoomId): boolean;
  /** @returns how many sockets stand in the topics it went to */
  publish(room_id: RoomId, rev: number | null, json: Bytes | null, msgpack: Bytes | null): number;
  listeners(room_id: RoomId): Readonly<Record<Encoding, number>>;
  /** Whether a socket of somebody other than this user listens in the room. */
  heardByOthers(room_id: RoomId, user_id: UserId): boolean;
  socketsOf(room_id: RoomId): readonly Socket[];
  /** When the membership began by which a socket listens in the room; null where it doesn't. */
  joinedMs(socket: Socket, room_id: RoomId): number | null;
  revOf(room_id: RoomId): number;
  noteRev(room_id: RoomId, rev: number): void;
  standing(shard: number, shards: number): StandingSubscription[];
  readonly size: number;
}

/** @param send publishes to all sockets that are subscribed to a topic of uWebSockets */
export function createTopics(send: (topic: string, bytes: Bytes, isBinary: boolean) => void): Topics {
  const topics = new Map<RoomId, Topic>();

  return {
    subscribe(socket, room_id, rev, joinedMs) {
      let topic = topics.get(room_id);
      if (topic === undefined) {
        topic = { rev, sockets: new Map(), count: { json: 0, msgpack: 0 } };
        topics.set(room_id, topic);
      }
      topic.rev = Math.max(topic.rev, rev);
      const isFresh = !topic.sockets.has(socket);
      topic.sockets.set(socket, joinedMs);
      if (!isFresh) return false;
      topic.count[socket.enc]++;
      socket.rooms.add(room_id);
      socket.ws?.subscribe(topicName(socket.enc, room_id));
      return true;
    },
    unsubscribe(socket, room_id) {
      const topic = topics.get(room_id);
      if (topic === undefined || !topic.sockets.delete(socket)) return false;
      topic.count[socket.enc]--;
      if (topic.sockets.size === 0) topics.delete(room_id);
      socket.rooms.delete(room_id);
      socket.ws?.unsubscribe(topicName(socket.enc, room_id));
      return true;
    },
    publish(room_id, rev, json, msgpack) {
      const topic = topics.get(room_id);
      if (topic === undefined) return 0;
      if (rev !== null) topic.rev = rev;
      const counted = {
        json: json === null ? 0 : topic.count.json,
        msgpack: msgpack === null ? 0 : topic.count.msgpack,
      };
      if (json !== null && counted.json > 0) send(topicName(Encoding.json, room_id), json, false);
      if (msgpack !== null && counted.msgpack > 0) {
        send(topicName(Encoding.msgpack, room_id), msgpack, true);
      }
      return counted.json + counted.msgpack;
    },
    listeners: (room_id) => topics.get(room_id)?.count ?? NOBODY,
    heardByOthers(room_id, user_id) {
      for (const socket of topics.get(room_id)?.sockets.keys() ?? []) {
        if (socket.caller?.user_id !== user_id) return true;
      }
      return false;
    },
    socketsOf: (room_id) => [...(topics.get(room_id)?.sockets.keys() ?? [])],
    joinedMs: (socket, room_id) => topics.get(room_id)?.sockets.get(socket) ?? null,
    revOf: (room_id) => topics.get(room_id)?.rev ?? 0,
    noteRev(room_id, rev) {
      const topic = topics.get(room_id);
      if (topic !== undefined) topic.rev = Math.max(topic.rev, rev);
    },
    standing: (shard, shards) =>
      [...topics]
        .filter(([room_id]) => shardOf(room_id, shards) === shard)
        .map(([room_id, { rev, count }]) => ({ room_id, rev, ...count })),
    get size() {
      return topics.size;
    },
  };
}

function topicName(encoding: Encoding, room_id: RoomId): string {
  return encoding === Encoding.json ? `j${room_id}` : `m${room_id}`;
}
