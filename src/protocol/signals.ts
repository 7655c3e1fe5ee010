import Type, { type Static } from 'typebox';
import { UserStatus, Uuid } from './model.js';

/**
 * Presence, typing and read receipts: events outside of a room's log. They carry no `rev`, are kept nowhere and
 * go to the rooms joined. Who misses one learns the same from the next, from `joined`, or from REST.
 */

/** Rooms with more members are quiet: a count instead of names, no typing, receipts to oneself alone. */
export const LARGE_ROOM_MEMBERS = 1_000;

export type Status = Static<typeof UserStatus>;

export const StatusChange = Type.Object({ user_id: Uuid, username: Type.String(), status: UserStatus });
export type StatusChange = Static<typeof StatusChange>;
