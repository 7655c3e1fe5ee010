/**
 * What a baseline server knows, in memory only: accounts, rooms with their two counters, and the few REST calls that the loader's
 * set-up makes. It checks nothing that the loader gets right anyway: whatever a baseline leaves out makes it faster, never slower.
 */
import { randomUUID } from 'node:crypto';
import { asList, asMembers, asString, type Members } from '../load/frame-read.js';

export interface Account {
  readonly id: string;
  readonly username: string;
}

export interface Room {
  readonly id: string;
  readonly name: string;
  headSeq: number;
  headRev: number;
}

/** A `send_message` as it came. */
export interface Sent {
  readonly roomId: string;
  readonly ref: unknown;
  readonly id: string;
  readonly content: string;
}

export interface Answer {
  readonly status: number;
  readonly data: Members;
}

export interface RoomBook {
  accountOf(token: string): Account | undefined;
  roomOf(id: string): Room | undefined;
  /** Answers a REST call; `path` is below /api/v1. */
  answer(method: string, path: string, token: string, body: Members): Answer;
}

const NOT_FOUND: Answer = { status: 404, data: {} };

/** @returns an empty book. */
export function createRoomBook(): RoomBook {
  const accounts = new Map<string, Account>();
  const rooms = new Map<string, Room>();
  const view = (room: Room) => ({
    id: room.id,
    name: room.name,
    head_seq: room.headSeq,
    head_rev: room.headRev,
  });

  function register(body: Members): Answer {
    const token = randomUUID();
    const account = { id: randomUUID(), username: asString(body.username) ?? '' };
    accounts.set(token, account);
    return { status: 201, data: { user: account, token } };
  }

  function makeRoom(body: Members): Answer {
    const room = { id: randomUUID(), name: asString(body.name) ?? '', headSeq: 0, headRev: 0 };
    rooms.set(room.id, room);
    return { status: 201, data: { ...view(room), member_count: asList(body.member_ids).length + 1 } };
  }

  return {
    accountOf: (token) => accounts.get(token),
    roomOf: (id) => rooms.get(id),
    answer(method, path, token, body) {
      if (method === 'POST' && path === '/auth/register') return register(body);
      if (!accounts.has(token)) return { status: 401, data: {} };
      if (method === 'POST' && path === '/rooms') return makeRoom(body);
      const [, , id = '', below] = path.split('/');
      const room = rooms.get(id);
      if (room === undefined) return NOT_FOUND;
      if (method === 'GET' && below === undefined) return { status: 200, data: view(room) };
      if (method === 'POST' && below === 'members') return { status: 201, data: {} };
      return NOT_FOUND;
    },
  };
}

/** The body of an answer. */
export function answerText({ status, data }: Answer): string {
  const success = status < 400;
  return JSON.stringify(
    success ? { success, data } : { success, error: 'refused', code: 'refused', retry: false },
  );
}

/** The token in an `Authorization` header. */
export function bearer(header: string | undefined): string {
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length) : '';
}

/** Reads a client's frame. @returns the room and reference of a join, or the message of a send. */
export function readClientFrame(
  frame: Members,
): { join: { roomId: string; ref: unknown } } | { send: Sent } | undefined {
  const roomId = asString(frame.room_id) ?? '';
  if (frame.type === 'join_room') return { join: { roomId, ref: frame.ref } };
  if (frame.type !== 'send_message') return undefined;
  const payload = asMembers(frame.payload);
  return {
    send: {
      roomId,
      ref: frame.ref,
      id: asString(payload.id) ?? '',
      content: asString(payload.content) ?? '',
    },
  };
}
