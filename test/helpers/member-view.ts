import { setTimeout as sleep } from 'node:timers/promises';
import { DEADLINE_MS, must, until } from './deadline.js';
import type { Encoding, Frame, Joined, Resumed, Synced } from './frames.js';
import { differences, historyFaults } from './history-check.js';
import { type Account, dataOf, restClient, wholeHistory } from './rest-client.js';
import { createRoomView, type RoomView } from './room-view.js';
import { ConnectRefused, connect, Disconnected, Refused, type WsClient } from './ws-client.js';

const SYNC_LIMIT = 500; // PROTOCOL §3
const RECONNECT_MS = 25;
const FOREVER_MS = 3_600_000; // the test's own time-out comes first

interface MemberOptions {
  /** Asked at every connection: a restarted server has another port. */
  readonly wsUrl: () => string;
  readonly account: Account;
  readonly encoding: Encoding;
  readonly mayMiss?: boolean;
}

/** A client as an application would write it: it joins rooms, keeps each room's rev, resumes, and syncs when told to. */
export interface Member {
  readonly account: Account;
  /** The open connection, all of its rooms resumed; null in between. */
  readonly client: () => WsClient | null;
  /** Connects and resumes all rooms that were joined. */
  readonly connect: () => Promise<WsClient>;
  /** Ends the connection without a word, as a lost network does. */
  readonly disconnect: () => Promise<void>;
  /** Connects again whenever the connection is lost, until `stopped`. */
  readonly keepConnected: (stopped: () => boolean) => Promise<void>;
  readonly join: (roomId: string) => Promise<void>;
  /** Stops receiving the room; what is known of it stays, for a later `join`. */
  readonly leave: (roomId: string) => Promise<void>;
  readonly view: (roomId: string) => RoomView;
  /** Waits until every change up to `rev` has been seen. */
  readonly caughtUp: (roomId: string, rev: number, deadlineMs?: number) => Promise<void>;
}

/** @see Member */
export function createMember(options: MemberOptions): Member {
  const views = new Map<string, RoomView>();
  /** Rooms to resume after a reconnection. */
  const joinedRooms = new Set<string>();
  /** The `since` of requests under way, by room: an answer is taken in when it arrives, before any later event. */
  const asked = new Map<string, number>();
  let current: WsClient | null = null;

  const view = (roomId: string): RoomView => must(views.get(roomId), `a view of ${roomId}`);
  const apart = (): void => {
    for (const each of views.values()) each.apart();
  };

  const takeJoined = (answer: Joined): void =>
    view(answer.room_id).joined(asked.get(answer.room_id) ?? 0, answer);
  const onFrame = (frame: Frame): void => {
    if (frame.rev !== undefined && frame.room_id !== undefined) views.get(frame.room_id)?.event(frame);
    else if (frame.type === 'joined') takeJoined(frame.payload as unknown as Joined);
    else if (frame.type === 'resumed') {
      for (const room of (frame.payload as unknown as Resumed).rooms) if (!('code' in room)) takeJoined(room);
    } else if (frame.type === 'synced') {
      const roomId = must(frame.room_id, 'room_id of synced');
      view(roomId).synced(asked.get(roomId) ?? 0, frame.payload as unknown as Synced);
    } else if (frame.type === 'resync') {
      for (const room of frame.payload.rooms as { room_id: string; head_rev: number }[]) {
        view(room.room_id).resync(room.head_rev);
        heal(room.room_id).catch(ignoreDisconnection);
      }
    }
  };

  /** Syncs a room until nothing is missing. One at a time for each room. */
  const healing = new Map<string, Promise<void>>();
  const heal = (roomId: string): Promise<void> => {
    const running = healing.get(roomId);
    if (running !== undefined) return running;
    const run = (async () => {
      for (let client = current; client !== null && view(roomId).behind(); ) {
        const since = view(roomId).rev();
        asked.set(roomId, since);
        await client
          .ask<Synced>('sync', { since, limit: SYNC_LIMIT }, roomId)
          .catch(async (error: unknown) => {
            if (!(error instanceof Refused) || !error.problem.retry) throw error;
            await sleep(error.problem.retry_after_ms ?? RECONNECT_MS); // as a client does when told "later"
          });
      }
    })().finally(() => healing.delete(roomId));
    healing.set(roomId, run);
    return run;
  };

  const resumeAll = async (client: WsClient): Promise<void> => {
    const rooms = [...joinedRooms].map((room_id) => ({ room_id, since: view(room_id).rev() }));
    if (rooms.length === 0) return;
    for (const room of rooms) asked.set(room.room_id, room.since);
    const answers = await client.requestAll('resume', { rooms }, (frame) => frame.payload.last === true);
    for (const { type, payload } of answers) {
      if (type === 'error') throw new Error(`resume refused: ${JSON.stringify(payload)}`);
      for (const room of (payload as unknown as Resumed).rooms) if ('code' in room) throw new Refused(room);
    }
    for (const { room_id } of rooms) await heal(room_id);
  };

  const connectNow = async (): Promise<WsClient> => {
    const { wsUrl, account, encoding } = options;
    const client = await connect({ wsUrl: wsUrl(), token: account.token, encoding, onFrame });
    void client.closed.then(() => {
      if (current === client) current = null;
      apart();
    });
    current = client;
    await resumeAll(client);
    return client;
  };

  return {
    account: options.account,
    client: () => current,
    connect: connectNow,
    disconnect: async () => {
      const client = current;
      client?.socket.terminate();
      await client?.closed;
    },
    keepConnected: async (stopped) => {
      while (!stopped()) {
        const client = current ?? (await connectNow().catch(ignoreUnreachable));
        if (client) await until(() => stopped() || current !== client, 'the end', FOREVER_MS);
        else {
          current?.socket.terminate();
          await sleep(RECONNECT_MS);
        }
      }
    },
    join: async (roomId) => {
      const known = views.get(roomId) ?? createRoomView(roomId, options);
      views.set(roomId, known);
      asked.set(roomId, known.rev());
      await must(current, 'a connection').ask<Joined>('join_room', { since: known.rev() }, roomId);
      joinedRooms.add(roomId);
      await heal(roomId);
    },
    leave: async (roomId) => {
      joinedRooms.delete(roomId);
      await must(current, 'a connection').ask('leave_room', {}, roomId);
      view(roomId).apart();
    },
    view,
    caughtUp: async (roomId, rev, deadlineMs = DEADLINE_MS) => {
      const what = `rev ${rev} of ${roomId} at ${options.account.username}`;
      await until(() => view(roomId).rev() >= rev, what, deadlineMs).catch((error: unknown) => {
        const { violations } = view(roomId);
        throw new Error(
          `${String(error)}; it is at ${view(roomId).rev()}; ${violations.slice(0, 5).join('; ')}`,
        );
      });
    },
  };
}

function ignoreDisconnection(error: unknown): void {
  if (!(error instanceof Disconnected)) throw error;
}

/** A server that is being restarted refuses connections, drops them half-way, or is `unavailable` for a moment. */
function ignoreUnreachable(error: unknown): null {
  const code = (error as { code?: unknown }).code;
  const away = error instanceof Disconnected || error instanceof ConnectRefused || typeof code === 'string';
  if (away || (error instanceof Refused && error.problem.retry)) return null;
  if (error instanceof Error && /socket hang up|closed before/.test(error.message)) return null;
  throw error;
}

/**
 * The end of a test of streams: everybody has seen all of the room, saw it as history has it, and history is whole.
 *
 * @returns what is wrong, in sentences: none in a correct server
 */
export async function faultsOfRoom(
  serverUrl: string,
  roomId: string,
  members: readonly Member[],
): Promise<string[]> {
  const rest = restClient(serverUrl);
  const reader = must(members[0]).account.token;
  // A command whose socket was cut may still be committed: only a history read under one head, at which nobody has seen
  // more, can be judged.
  for (;;) {
    const head = dataOf(await rest.getRoom(reader, roomId));
    const history = await wholeHistory(rest, reader, roomId);
    for (const member of members) await member.caughtUp(roomId, head.head_rev, 3 * DEADLINE_MS);
    const now = dataOf(await rest.getRoom(reader, roomId));
    if (now.head_rev !== head.head_rev) continue;
    const views = members.flatMap((member) =>
      differences(member.view(roomId), history).map((text) => `${member.account.username}: ${text}`),
    );
    return [...historyFaults(history, head), ...views];
  }
}
