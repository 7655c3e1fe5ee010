import { Refusal } from '../protocol/errors.js';
import { isUuid, type RoomId, type UserId } from '../protocol/ids.js';
import type { AddMemberBody, CreateRoomBody, PatchMemberBody, PatchRoomBody } from '../protocol/requests.js';
import type { ListPage } from '../rooms/member-service.js';
import type { RoomService } from '../rooms/room-service.js';
import type { Keyset } from '../rooms/room-store-port.js';
import { PAGE_LIMIT_DEFAULT, type RouteName } from './routes.js';
import { callerOf, type HttpAnswer, type HttpCall, type HttpHandler } from './types.js';

type RoomRoute = Extract<
  RouteName,
  | 'create_room'
  | 'list_rooms'
  | 'get_room'
  | 'patch_room'
  | 'delete_room'
  | 'join_room'
  | 'leave_room'
  | 'list_members'
  | 'add_member'
  | 'patch_member'
  | 'remove_member'
>;

/** REST over rooms and members. Bodies and queries have passed their route's schemas. */
export function roomHandlers(service: RoomService): Record<RoomRoute, HttpHandler> {
  return {
    create_room: async (call) => {
      const { room, created } = await service.createRoom(me(call), call.body as CreateRoomBody);
      return { status: created ? 201 : 200, data: room };
    },
    list_rooms: async (call) => {
      const { after, limit } = pageOf(call);
      return list(await service.listRooms(me(call), after, limit));
    },
    get_room: async (call) => ok(await service.getRoom(me(call), roomOf(call))),
    patch_room: async (call) =>
      ok(await service.patchRoom(me(call), roomOf(call), call.body as PatchRoomBody)),
    delete_room: async (call) => {
      await service.deleteRoom(me(call), roomOf(call));
      return ok({});
    },
    join_room: async (call) => ok(await service.joinRoom(me(call), roomOf(call))),
    leave_room: async (call) => {
      await service.leaveRoom(me(call), roomOf(call));
      return ok({});
    },
    list_members: async (call) => {
      const { after, limit } = pageOf(call);
      return list(await service.listMembers(me(call), roomOf(call), after, limit));
    },
    add_member: async (call) => {
      const { member, added } = await service.addMember(me(call), roomOf(call), call.body as AddMemberBody);
      return { status: added ? 201 : 200, data: member };
    },
    patch_member: async (call) => {
      const patch = withExactTime(call.body as PatchMemberBody);
      return ok(await service.patchMember(me(call), roomOf(call), userOf(call), patch));
    },
    remove_member: async (call) => {
      await service.removeMember(me(call), roomOf(call), userOf(call));
      return ok({});
    },
  };
}

export function me(call: HttpCall): UserId {
  return callerOf(call).user_id;
}

export function roomOf(call: HttpCall): RoomId {
  return call.params.roomId as RoomId;
}

export function userOf(call: HttpCall): UserId {
  return call.params.userId as UserId;
}

export function ok(data: unknown): HttpAnswer {
  return { status: 200, data };
}

export function list(page: ListPage<unknown>): HttpAnswer {
  const next = page.next === null ? null : encodeCursor(page.next);
  return { status: 200, data: page.items, page: { has_more: next !== null, next } };
}

export function pageOf(call: HttpCall): { after: Keyset | null; limit: number } {
  const query = (call.query ?? {}) as { limit?: number; after?: string };
  const after = query.after === undefined ? null : decodeCursor(query.after);
  return { after, limit: query.limit ?? PAGE_LIMIT_DEFAULT };
}

const MICROSECONDS = /^[0-9]{1,16}$/; // up to the year 2286, exact as a JavaScript number

/** Opaque to clients: base64url of "<microseconds>.<id>". */
function encodeCursor({ at_us, id }: Keyset): string {
  return Buffer.from(`${at_us}.${id}`).toString('base64url');
}

/** @throws Refusal `bad_request`: not a cursor that `encodeCursor` made */
function decodeCursor(cursor: string): Keyset {
  const [at_us = '', id = '', ...rest] = Buffer.from(cursor, 'base64url').toString('latin1').split('.');
  if (!MICROSECONDS.test(at_us) || !Number.isSafeInteger(Number(at_us)) || !isUuid(id) || rest.length > 0) {
    throw new Refusal('bad_request', { field: 'after', sentence: 'Not a cursor of this list.' });
  }
  return { at_us: Number(at_us), id };
}

const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999); // what RFC 3339's four digits can say

/**
 * The patch with its time in UTC and whole milliseconds. The schema's format lets a few dates through that
 * neither JavaScript nor PostgreSQL can hold, such as a leap second.
 * @throws Refusal `bad_request`
 */
function withExactTime(patch: PatchMemberBody): PatchMemberBody {
  if (typeof patch.muted_until !== 'string') return patch;
  const at = Date.parse(patch.muted_until);
  if (!(at >= 0 && at <= LATEST_MS)) {
    throw new Refusal('bad_request', {
      field: 'muted_until',
      sentence: 'muted_until is a time from 1970 to 9999, or null.',
    });
  }
  return { ...patch, muted_until: new Date(at).toISOString() };
}
