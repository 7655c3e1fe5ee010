import type { Static } from 'typebox';
import { Encoding, encodeFrame, type ServerFrame } from '../protocol/frames.js';
import { type RoomId, shardOf, type UserId } from '../protocol/ids.js';
import type { SERVER_FRAMES } from '../protocol/server-frames.js';
import { createPresence, type Presence } from './presence.js';
import { createPresenceElsewhere, type PresenceElsewhere } from './presence-elsewhere.js';
import type { ShardEvents, ShardLinks } from './shard-links.js';
import type { Socket } from './socket.js';
import type { Topics } from './topics.js';

const TICK_MS = 250; // changes of so long are told together
const BUSY_BYTES = 256 * 1024; // a socket with as much unsent is told later who is online

type Frames = typeof SERVER_FRAMES;
type SignalType = 'user_online' | 'user_offline' | 'presence' | 'presence_count';
type SignalPayload<T extends SignalType> = Static<Frames[T]['payload']>;

export interface PresenceSignals extends Presence<Socket> {
  readonly events: Pick<ShardEvents, 'statuses' | 'statusChosen' | 'renamed' | 'present' | 'presenceHeard'>;
  /** This node is leaving: what it tells others of presence ends. */
  bye(): void;
  close(): void;
}

/** Presence on the front's topics, sockets and shards: encoded once per encoding that somebody listens in. */
/** @param solo whether this process is all there is, so that nobody else has to be told */
export function startPresence(topics: Topics, links: () => ShardLinks, solo: boolean): PresenceSignals {
  const presence = createPresence<Socket>({
    changed(room_id, { user_id, username, status }) {
      if (!topics.heardByOthers(room_id, user_id as UserId)) return;
      if (status === 'offline') return publish(room_id, 'user_offline', { user_id, username });
      publish(room_id, 'user_online', { user_id, username, status });
    },
    listed: (room_id, users, online) => publish(room_id, 'presence', { users: [...users], online }),
    counted: (room_id, online) => publish(room_id, 'presence_count', { online }),
    listedTo(sockets, room_id, users, online) {
      const isNews = ({ caller }: Socket) => users.some(({ user_id }) => user_id !== caller?.user_id);
      return sendTo([...sockets].filter(isNews), room_id, 'presence', { users: [...users], online });
    },
    countedTo: (sockets, room_id, online) => sendTo([...sockets], room_id, 'presence_count', { online }),
    listeners: (room_id) => {
      const { json, msgpack } = topics.listeners(room_id);
      return json + msgpack;
    },
    shards(changes) {
      for (let shard = 0; shard < links().shards; shard++) links().tell(shard, { t: 'presence', ...changes });
    },
    readStatuses(user_ids) {
      const { shards, tell } = links();
      const byShard = new Map<number, UserId[]>();
      for (const user_id of user_ids) {
        const shard = shardOf(user_id, shards);
        const some = byShard.get(shard);
        if (some === undefined) byShard.set(shard, [user_id]);
        else some.push(user_id);
      }
      for (const [shard, some] of byShard) tell(shard, { t: 'read_statuses', user_ids: some });
    },
  });

  function publish<T extends SignalType>(room_id: RoomId, type: T, payload: SignalPayload<T>): void {
    const { json, msgpack } = topics.listeners(room_id);
    const frame: ServerFrame = { type, room_id, payload, timestamp: Date.now() };
    topics.publish(
      room_id,
      null,
      json > 0 ? encodeFrame(Encoding.json, frame) : null,
      msgpack > 0 ? encodeFrame(Encoding.msgpack, frame) : null,
    );
  }

  /** Sends to those who (still) listen in the room; returns those that are too busy. */
  function sendTo<T extends SignalType>(
    sockets: readonly Socket[],
    room_id: RoomId,
    type: T,
    payload: SignalPayload<T>,
  ): Socket[] {
    const frame: ServerFrame = { type, room_id, payload, timestamp: Date.now() };
    const encoded: Partial<Record<Encoding, string | Uint8Array>> = {};
    const busy: Socket[] = [];
    for (const socket of sockets) {
      if (socket.ws === null || !socket.rooms.has(room_id)) continue;
      if (socket.ws.getBufferedAmount() > BUSY_BYTES) {
        busy.push(socket);
        continue;
      }
      encoded[socket.enc] ??= encodeFrame(socket.enc, frame);
      socket.ws.send(encoded[socket.enc] ?? '', socket.enc === Encoding.msgpack);
    }
    return busy;
  }

  let elsewhere: PresenceElsewhere | null = null; // from when the shards are there
  let leaving = solo;
  function nodes(): PresenceElsewhere | null {
    if (leaving) return null;
    elsewhere ??= createPresenceElsewhere({
      node: links().nodeId,
      presence,
      tell: (partition, news) =>
        links().tell(partition % links().shards, { t: 'presence_told', partition, news }),
      hears: () =>
        links()
          .stats()
          .every((stats) => stats?.bus_healthy === true),
    });
    return elsewhere;
  }

  const timer = setInterval(() => {
    nodes()?.tick();
    presence.tick();
  }, TICK_MS);
  return {
    ...presence,
    connected(user_id, username) {
      presence.connected(user_id, username);
      nodes()?.connected(user_id);
    },
    disconnected(user_id) {
      presence.disconnected(user_id);
      nodes()?.disconnected(user_id);
    },
    joined(user_id, room_id, members, socket) {
      presence.joined(user_id, room_id, members, socket);
      nodes()?.joined(user_id, room_id);
    },
    removed(room_id, user_id) {
      presence.removed(room_id, user_id);
      nodes()?.removed(room_id, user_id);
    },
    bye() {
      nodes()?.close();
      leaving = true;
    },
    events: {
      presenceHeard: ({ news }) => nodes()?.heard(news),
      statuses: ({ users }) => presence.read(users),
      statusChosen: ({ user_id, status }) => presence.chosen(user_id, status),
      renamed: ({ user_id, username }) => presence.renamed(user_id, username),
      present: () => ({ t: 'presence', ...presence.standing() }),
    },
    close: () => clearInterval(timer),
  };
}
