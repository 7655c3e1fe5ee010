import { Refusal } from '../protocol/errors.js';
import * as facts from '../protocol/facts.js';
import { newId, type RoomId, type UserId } from '../protocol/ids.js';
import type { MyRoom, Room } from '../protocol/model.js';
import type { CreateRoomBody, PatchRoomBody } from '../protocol/requests.js';
import {
  announceAdded,
  type ListPage,
  type MemberService,
  memberService,
  type RoomPorts,
  readActor,
  toPage,
} from './member-service.js';
import type { Keyset, NewMember, NewRoom, RoomStore } from './room-store-port.js';
import { canDeleteRoom, canPatchRoom, canSeeRoom, enforce } from './rules.js';

/**
 * Rooms and their details, and through MemberService their members. Every method throws a Refusal for what
 * the rules deny, and StoreUnavailable; what it announces is committed.
 */
export interface RoomService extends MemberService {
  /** `created` is false where the pair has a direct room already. */
  createRoom(caller: UserId, body: CreateRoomBody): Promise<{ room: Room; created: boolean }>;
  /** A member gets the room as it is to him, anybody else a public room's details. */
  getRoom(caller: UserId, room_id: RoomId): Promise<Room | MyRoom>;
  /** The most recently active first. */
  listRooms(caller: UserId, after: Keyset | null, limit: number): Promise<ListPage<MyRoom>>;
  /** Changes what the patch names; a patch that changes nothing is announced to nobody. */
  patchRoom(caller: UserId, room_id: RoomId, patch: PatchRoomBody): Promise<Room>;
  deleteRoom(caller: UserId, room_id: RoomId): Promise<void>;
}

export function roomService(ports: RoomPorts): RoomService {
  const { store } = ports;
  return {
    ...memberService(ports),
    createRoom: (caller, body) => createRoom(ports, caller, body),
    getRoom: (caller, room_id) => getRoom(store, caller, room_id),
    listRooms: async (caller, after, limit) => toPage(await store.myRooms(caller, after, limit + 1), limit),
    patchRoom: (caller, room_id, patch) => patchRoom(ports, caller, room_id, patch),
    deleteRoom: (caller, room_id) => deleteRoom(ports, caller, room_id),
  };
}

async function createRoom(
  { store, announcer, roomsMax = 0 }: RoomPorts,
  caller: UserId,
  body: CreateRoomBody,
): Promise<{ room: Room; created: boolean }> {
  const others = [...new Set(body.member_ids as UserId[] | undefined)].filter((id) => id !== caller);
  const room = newRoom(caller, others, body);
  if ((await store.unknownUsers(others)).length > 0) {
    throw new Refusal('not_found', { field: 'member_ids', sentence: 'No such user in member_ids.' });
  }
  if (roomsMax > 0 && room.type !== 'direct' && (await store.roomsMadeBy(caller, roomsMax)) >= roomsMax) {
    throw new Refusal('quota_exceeded', { sentence: `You have made ${roomsMax} rooms; delete one first.` });
  }
  const outcome = await store.createRoom(room, firstMembers(room, others));
  if (outcome.created) {
    for (const user_id of [caller, ...others]) {
      announcer.standingChanged(room.id, user_id);
      // The first memberships begin with the room.
      announceAdded(announcer, outcome.room, { user_id, joined_at: outcome.room.created_at });
    }
  }
  return outcome;
}

/**
 * What is to be created.
 * @param others the members beside the creator, each once
 * @throws Refusal `bad_request`: a name or members that don't fit the type
 */
function newRoom(caller: UserId, others: readonly UserId[], body: CreateRoomBody): NewRoom {
  const { type, name = null, description = null } = body;
  const room = { id: newId<RoomId>(), type, description, created_by: caller };
  if (type !== 'direct') {
    if (name === null) throw new Refusal('bad_request', { field: 'name', sentence: 'Missing: name' });
    return { ...room, name, direct_key: null };
  }
  if (name !== null) {
    throw new Refusal('bad_request', { field: 'name', sentence: 'A direct room has no name.' });
  }
  if (others.length !== 1) {
    throw new Refusal('bad_request', {
      field: 'member_ids',
      sentence: 'A direct room needs exactly one other member.',
    });
  }
  return { ...room, name, direct_key: [caller, ...others].sort().join(':') };
}

/** The creator is admin; so are both in a direct room. */
function firstMembers(room: NewRoom, others: readonly UserId[]): NewMember[] {
  const role = room.type === 'direct' ? 'admin' : 'member';
  return [
    { user_id: room.created_by, role: 'admin' },
    ...others.map((user_id) => ({ user_id, role }) as const),
  ];
}

async function getRoom(store: RoomStore, caller: UserId, room_id: RoomId): Promise<Room | MyRoom> {
  const view = await store.roomView(room_id, caller);
  if (view === null) throw new Refusal('not_found');
  const { room, mine } = view;
  enforce(canSeeRoom({ role: mine?.role ?? null, room_type: room.type, muted_until: null }));
  return mine ?? room;
}

async function patchRoom(
  { store, announcer }: RoomPorts,
  caller: UserId,
  room_id: RoomId,
  patch: PatchRoomBody,
): Promise<Room> {
  const { room, details } = await store.changeRoom(room_id, async (change) => {
    const { actor } = await readActor(change, caller);
    enforce(canPatchRoom(actor, patch), 'A direct room has neither a name nor slow mode.');
    const before = await change.room();
    const details = differences(before, patch);
    if (Object.keys(details).length === 0) return { room: before, details: null };
    const { name = before.name, description = before.description, slow_mode_s = before.slow_mode_s } = patch;
    await change.setDetails({ name, description, slow_mode_s });
    await change.audit([{ action: 'room_updated', actor_id: caller, details }]);
    return { room: await change.room(), details };
  });
  if (details === null) return room;
  if ('slow_mode_s' in details) announcer.standingChanged(room_id, null);
  announcer.toRoom(room_id, 'room_updated', { room }, facts.roomUpdated(room));
  return room;
}

/** What a patch changes of a room: from what to what, by member. */
function differences(before: Room, patch: PatchRoomBody): Record<string, { from: unknown; to: unknown }> {
  const members = ['name', 'description', 'slow_mode_s'] as const;
  const changed = members.filter((each) => patch[each] !== undefined && patch[each] !== before[each]);
  return Object.fromEntries(changed.map((each) => [each, { from: before[each], to: patch[each] }]));
}

async function deleteRoom({ store, announcer }: RoomPorts, caller: UserId, room_id: RoomId): Promise<void> {
  await store.changeRoom(room_id, async (change) => {
    const { actor } = await readActor(change, caller);
    enforce(canDeleteRoom(actor));
    await change.deleteRoom();
  });
  announcer.toRoom(room_id, 'room_deleted', { room_id }, facts.roomDeleted(room_id));
  announcer.revoke(room_id, null);
}
