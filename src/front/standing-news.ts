import type { StandingChange } from '../ipc/messages.js';
import {
  type Fact,
  memberJoined,
  memberLeft,
  removedFrom,
  roomAdded,
  roomDeleted,
} from '../protocol/facts.js';
import { Encoding, encodeFrame } from '../protocol/frames.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Told } from './told.js';

type Frames = Readonly<Record<Encoding, string | Uint8Array>>;

/** Tells sockets what the watch over the database found, where no signal of the bus has. */
export interface StandingNews {
  /** Tells of an end and does it, in the order in which it is done where nobody has to watch. */
  ended(change: StandingChange): void;
  /** Whether somebody here would hear of what has begun or changed: its shard has to read what it is. */
  concerns(change: StandingChange): boolean;
}

export function createStandingNews(deps: {
  readonly told: Told;
  readonly toRoom: (room_id: RoomId, frames: Frames, members: 0 | -1) => void;
  readonly toUser: (user_id: UserId, frames: Frames) => void;
  readonly revoke: (room_id: RoomId, user_id: UserId | null, beforeMs: number) => void;
  readonly isHeard: (room_id: RoomId) => boolean;
  readonly isHere: (user_id: UserId) => boolean;
}): StandingNews {
  const { told } = deps;

  function tell(fact: Fact, type: string, room_id: RoomId, payload: object, to: (frames: Frames) => void) {
    if (!told.fresh(fact)) return;
    const frame = { type, room_id, payload, timestamp: Date.now() };
    to({ json: encodeFrame(Encoding.json, frame), msgpack: encodeFrame(Encoding.msgpack, frame) });
  }

  function gone(room_id: RoomId, user_id: UserId, change: StandingChange): void {
    const { how, joined_at, username, at_ms } = change;
    const payload = { user_id, username: username ?? '' };
    const roomHears = () =>
      tell(memberLeft(room_id, user_id, joined_at), 'member_left', room_id, payload, (frames) =>
        deps.toRoom(room_id, frames, -1),
      );
    if (how === 'left') roomHears();
    else if (joined_at !== null) {
      const fact = removedFrom(room_id, { user_id, joined_at });
      tell(fact, 'removed_from_room', room_id, { room_id, reason: how }, (frames) =>
        deps.toUser(user_id, frames),
      );
    }
    deps.revoke(room_id, user_id, at_ms);
    if (how !== 'left') roomHears();
  }

  return {
    ended(change) {
      const { room_id, user_id, kind, ended, at_ms } = change;
      if (room_id === null) return;
      if (kind === 'gone' && user_id !== null) return gone(room_id, user_id, change);
      if (!ended) return;
      // What ended it has a row of its own, which tells of it first.
      if (kind === 'added' || kind === 'changed') return;
      if (kind === 'room') {
        tell(roomDeleted(room_id), 'room_deleted', room_id, { room_id }, (frames) =>
          deps.toRoom(room_id, frames, 0),
        );
      }
      deps.revoke(room_id, user_id, at_ms);
    },
    concerns({ room_id, user_id, kind, how, ended, joined_at }) {
      if (room_id === null || ended || kind === null || kind === 'gone') return false;
      if (kind !== 'added' || user_id === null || joined_at === null) return deps.isHeard(room_id);
      const member = { user_id, joined_at };
      if (deps.isHere(user_id) && !told.has(roomAdded(room_id, member))) return true;
      return how !== 'founded' && deps.isHeard(room_id) && !told.has(memberJoined(room_id, member));
    },
  };
}
