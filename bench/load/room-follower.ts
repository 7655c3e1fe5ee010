/**
 * What one socket knows of its rooms, over all its connections: joins them, resumes them on a new connection, heals what a
 * `resync` tells of. A stream is whole when nothing that was asked for is outstanding.
 */
import type { Checker, RoomLedger, Stream } from './checker.js';
import { messageKey, sentAt, uuidTail, uuidWorker } from './frame-layout.js';
import {
  asList,
  asMembers,
  asNumber,
  asString,
  idTailOf,
  type Members,
  type ParsedFrame,
} from './frame-read.js';
import type { LoaderRoom } from './messages.js';

/** Most messages that one `sync` may ask for, and most rooms that one `resume` may name (PROTOCOL.md §3). */
const SYNC_LIMIT = 500;
const RESUME_ROOMS = 500;

export interface FollowedRoom {
  /** Index in the plan. */
  readonly room: number;
  readonly stream: Stream;
}

export interface FollowerHost {
  readonly rooms: readonly LoaderRoom[];
  readonly checker: Checker;
  /** The ledger of a room, by its index in `rooms`. */
  ledgerOf(room: number): RoomLedger;
  /** A message that came by `resume` or `sync`, with its intended send time or -1. */
  recovered(sentAtMicros: number): void;
  resyncCame(): void;
}

export interface Follower {
  /** By the last 48 bits of the room's id. */
  readonly streams: ReadonlyMap<number, FollowedRoom>;
  join(): void;
  /** Asks for what was missed. @param again a part was refused: only of rooms that have no answer yet */
  resume(again: boolean): void;
  /** Reads `joined`, `resumed`, `resync`, `synced`. @returns what is wrong with the frame, or undefined. */
  read(frame: ParsedFrame): string | undefined;
  /** Every room is joined and nothing is being healed. */
  isWhole(): boolean;
}

function contentTime(content: unknown): number {
  const bytes = Buffer.from(asString(content) ?? '', 'utf8');
  return sentAt(bytes, 0, bytes.length);
}

/** @param planned indexes of the rooms. @param send sends a frame on the present connection. */
export function createFollower(
  host: FollowerHost,
  socket: number,
  planned: readonly number[],
  send: (frame: Members) => void,
): Follower {
  const { checker } = host;
  const streams = new Map<number, FollowedRoom>();
  const streamOf = (roomId: unknown) => streams.get(idTailOf(asString(roomId)))?.stream;

  function askSync(stream: Stream, since: number): void {
    send({ type: 'sync', room_id: stream.ledger.roomId, payload: { since, limit: SYNC_LIMIT } });
  }

  /** The part that `joined`, `resumed` and `synced` have in common. */
  function catchUp(stream: Stream, payload: Members): void {
    for (const entry of asList(payload.messages)) {
      const message = asMembers(entry);
      const id = Buffer.from(asString(message.id) ?? '', 'latin1');
      const key = messageKey(uuidWorker(id, 0), uuidTail(id, 0));
      if (checker.synced(stream, asNumber(message.seq_no) ?? -1, asNumber(message.rev) ?? -1, key)) {
        host.recovered(contentTime(message.content));
      }
    }
    const next = asNumber(payload.next_since);
    if (payload.more === true && next !== undefined) {
      checker.syncCovered(stream, next);
      askSync(stream, next);
      return;
    }
    checker.syncCovered(stream, asNumber(payload.head_rev) ?? 0);
    stream.healing = Math.max(0, stream.healing - 1); // asked for again, an answer may come twice
  }

  function joined(frame: ParsedFrame): string | undefined {
    const room = planned.find((index) => index === frame.ref);
    const headSeq = asNumber(frame.payload.head_seq);
    const headRev = asNumber(frame.payload.head_rev);
    if (room === undefined || headSeq === undefined || headRev === undefined) {
      return `a \`joined\` without ref or heads: ${JSON.stringify(frame)}`;
    }
    const ledger = host.ledgerOf(room);
    streams.set(idTailOf(ledger.roomId), {
      room,
      stream: checker.openStream(socket, ledger, headSeq, headRev),
    });
    return undefined;
  }

  function resumed(frame: ParsedFrame): string | undefined {
    for (const entry of asList(frame.payload.rooms)) {
      const payload = asMembers(entry);
      const stream = streamOf(payload.room_id);
      if (stream === undefined || payload.code !== undefined) {
        return `a room was not resumed: ${JSON.stringify(entry)}`;
      }
      catchUp(stream, payload);
    }
    return undefined;
  }

  function resync(frame: ParsedFrame): undefined {
    host.resyncCame();
    for (const entry of asList(frame.payload.rooms)) {
      const stream = streamOf(asMembers(entry).room_id);
      if (stream === undefined) continue;
      stream.healing += 1;
      askSync(stream, checker.contiguousRev(stream));
    }
  }

  return {
    streams,
    join() {
      for (const index of planned) {
        const room = host.rooms[index];
        if (room === undefined) continue;
        send({ type: 'join_room', room_id: room.id, ref: index, payload: { since: room.headRev } });
      }
    },
    resume(again) {
      const all = [...streams.values()]
        .map(({ stream }) => stream)
        .filter(({ healing }) => !again || healing > 0);
      // What the last connection had asked for will not be answered.
      for (const stream of all) stream.healing = 1;
      for (let from = 0; from < all.length; from += RESUME_ROOMS) {
        const rooms = all.slice(from, from + RESUME_ROOMS).map((stream) => ({
          room_id: stream.ledger.roomId,
          since: checker.contiguousRev(stream),
        }));
        send({ type: 'resume', payload: { rooms } });
      }
    },
    read(frame) {
      if (frame.type === 'joined') return joined(frame);
      if (frame.type === 'resumed') return resumed(frame);
      if (frame.type === 'resync') return resync(frame);
      const stream = streamOf(frame.roomId ?? frame.payload.room_id);
      if (stream === undefined) return 'a `synced` for a room that was not joined';
      catchUp(stream, frame.payload);
      return undefined;
    },
    isWhole: () =>
      streams.size === planned.length && [...streams.values()].every(({ stream }) => stream.healing === 0),
  };
}
