import type { RoomId } from './ids.js';
import type { Member, Room } from './model.js';

/**
 * What an event outside of the log tells, named so that it is told once: the node that made the change tells it by the
 * bus, and the watch over the database finds it as well. `about` in a `state` it is known to be in is no news.
 */
export interface Fact {
  readonly about: string;
  readonly state: string;
}

/** A membership, named by when it began: somebody who comes back has another. */
type Membership = Pick<Member, 'user_id' | 'joined_at'>;

const membership = (what: string, room_id: RoomId, { user_id, joined_at }: Membership): string =>
  `${what} ${room_id} ${user_id} ${joined_at}`;

export const memberJoined = (room_id: RoomId, member: Membership): Fact => ({
  about: membership('joined', room_id, member),
  state: '',
});

/** He was told that he is a member. */
export const roomAdded = (room_id: RoomId, member: Membership): Fact => ({
  about: membership('added', room_id, member),
  state: '',
});

export const memberUpdated = (room_id: RoomId, member: Member): Fact => ({
  about: membership('updated', room_id, member),
  state: `${member.role} ${member.muted_until}`,
});

/** @param joined_at null where his account was deleted: he can't have come back */
export const memberLeft = (room_id: RoomId, user_id: string, joined_at: string | null): Fact => ({
  about: `left ${room_id} ${user_id} ${joined_at}`,
  state: '',
});

/** He was told that he is no member any more. */
export const removedFrom = (room_id: RoomId, member: Membership): Fact => ({
  about: membership('removed', room_id, member),
  state: '',
});

export const roomUpdated = (room: Room): Fact => ({ about: `room ${room.id}`, state: room.updated_at });

export const roomDeleted = (room_id: RoomId): Fact => ({ about: `deleted ${room_id}`, state: '' });
