import type { StandingChange } from '../ipc/messages.js';
import { memberJoined, memberUpdated, roomAdded, roomUpdated } from '../protocol/facts.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Member, Room } from '../protocol/model.js';
import { joinedPayload, updatedPayload } from '../rooms/member-service.js';
import type { Signal } from './signals.js';

const CHANGES_MAX = 1_000; // told of one look; REST and `joined` tell the rest

/**
 * Tells this process' sockets what began or changed in rooms, as it is now, where the watch over the database found it
 * and no signal came. The front drops what it has been told meanwhile.
 */
export function createLateNews(deps: {
  readonly membersOf: (room_id: RoomId, user_ids: readonly UserId[]) => Promise<Member[]>;
  readonly roomById: (room_id: RoomId) => Promise<Room | null>;
  /** Does it here, and tells no other node. */
  readonly hear: (signal: Signal) => void;
}): (changes: readonly StandingChange[]) => Promise<void> {
  const { hear } = deps;

  async function tellRoom(room_id: RoomId, changes: readonly StandingChange[]): Promise<void> {
    const users = [...new Set(changes.flatMap(({ user_id }) => user_id ?? []))];
    const [room, found] = await Promise.all([
      deps.roomById(room_id),
      users.length === 0 ? [] : deps.membersOf(room_id, users),
    ]);
    if (room === null) return; // deleted since, and told as such
    const members = new Map(found.map((member) => [member.user_id, member]));
    for (const change of changes) {
      const member = members.get(change.user_id ?? '');
      if (change.kind === 'room') {
        hear(['room', room_id, 'room_updated', { room }, Date.now(), roomUpdated(room)]);
      } else if (member === undefined || member.joined_at !== change.joined_at) {
        // Gone since; a later membership has a change of its own.
      } else if (change.kind === 'added') added(room, member, change.how);
      else {
        const fact = memberUpdated(room_id, member);
        hear(['room', room_id, 'member_updated', updatedPayload(member), Date.now(), fact]);
      }
    }
  }

  /** The first members of a room are told of it alone. */
  function added(room: Room, member: Member, how: StandingChange['how']): void {
    const room_id = room.id as RoomId;
    const user_id = member.user_id as UserId;
    if (how !== 'founded') {
      const fact = memberJoined(room_id, member);
      hear(['room', room_id, 'member_joined', joinedPayload(member), Date.now(), fact]);
    }
    hear(['user', user_id, room_id, 'room_added', { room }, Date.now(), roomAdded(room_id, member)]);
  }

  return async (changes) => {
    const byRoom = new Map<RoomId, StandingChange[]>();
    for (const change of changes.slice(0, CHANGES_MAX)) {
      if (change.room_id === null) continue;
      const those = byRoom.get(change.room_id);
      if (those === undefined) byRoom.set(change.room_id, [change]);
      else those.push(change);
    }
    for (const [room_id, those] of byRoom) await tellRoom(room_id, those);
  };
}
