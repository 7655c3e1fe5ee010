import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Static } from 'typebox';
import { expect, expectTypeOf, test } from 'vitest';
import type { createApi } from '../../client/src/api.js';
import { errorOf, type Problem } from '../../client/src/errors.js';
import type * as client from '../../client/src/index.js';
import type { Joined, Synced } from '../../client/src/room-log.js';
import type { ROUTES } from '../../src/http/routes.js';
import { ERRORS } from '../../src/protocol/errors.js';
import { CLIENT_FRAMES } from '../../src/protocol/frames.js';
import type * as server from '../../src/protocol/model.js';
import type { SendBody } from '../../src/protocol/requests.js';
import type { SERVER_FRAMES, ServerFrameType } from '../../src/protocol/server-frames.js';

/** Both ways: what the server answers is what the client promises, and nothing else. */
type Same<Ours, Theirs> = [Ours] extends [Frozen<Theirs>] ? ([Theirs] extends [Ours] ? true : false) : false;
type Frozen<T> = T extends (infer Entry)[]
  ? readonly Frozen<Entry>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

test('the client’s types are those of the protocol', () => {
  expectTypeOf<Same<client.Message, server.Message>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.User, server.User>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.Me, server.Me>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.RoomInfo, server.Room>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.MyRoom, server.MyRoom>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.Member, server.Member>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.Ban, server.Ban>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.MessageEdit, server.MessageEdit>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.SearchHit, server.SearchHit>>().toEqualTypeOf<true>();
  expectTypeOf<Same<client.DeviceSession, server.Session>>().toEqualTypeOf<true>();
  expectTypeOf<server.AuditEntry>().toExtend<client.AuditEntry>();
  expectTypeOf<keyof client.MessageBody | 'id'>().toEqualTypeOf<keyof SendBody>();
});

/** Where the client hands on the payload of a frame, or reads it. Events of a room are its own by name. */
interface ByFrame {
  welcome: client.Welcome;
  joined: Joined;
  synced: Synced;
  message_ack: client.Ack;
  room_added: Omit<client.ClientEvents['room_added'], 'room_id'>;
  resync: { rooms: { room_id: string; head_rev: number }[] };
  bye: { reason: string; reconnect_after_ms: number };
}
/** Answers of which only the coming matters, and those that bear an error: the client's has to take REST's and its own as well. */
type Unread = 'authenticated' | 'pong' | 'left' | 'ok' | 'error' | 'resumed';
/** What the client adds to each event of a room, or says once for all. */
type Added = 'type' | 'room_id' | 'rev' | 'live' | 'code';
type PayloadOf<T extends ServerFrameType> = Static<(typeof SERVER_FRAMES)[T]['payload']>;
type Unlike = {
  [T in Exclude<ServerFrameType, Unread>]: T extends keyof ByFrame
    ? Same<ByFrame[T], PayloadOf<T>> extends true
      ? never
      : T
    : T extends keyof client.RoomEvents
      ? Same<Omit<client.RoomEvents[T], Added>, Omit<PayloadOf<T>, 'room_id'>> extends true
        ? never
        : T
      : T;
}[Exclude<ServerFrameType, Unread>];

test('what the client hands on of each frame has the type of its payload', () => {
  expectTypeOf<Unlike>().toEqualTypeOf<never>();
  expectTypeOf<Frozen<PayloadOf<'error'>>>().toExtend<Problem>();
  type Resumed = Joined | (Problem & { readonly room_id: string });
  expectTypeOf<Frozen<PayloadOf<'resumed'>>['rooms'][number]>().toExtend<Resumed>();
  type OfServer = Exclude<keyof client.RoomEvents, 'reset'>;
  expectTypeOf<OfServer>().toExtend<ServerFrameType>();
});

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${Snake<Tail>}`
    : `_${Lowercase<Head>}${Snake<Tail>}`
  : S;
type ApiNames = keyof ReturnType<typeof createApi>;
/** Where the method's name is a shorter one than the route's. */
interface Shorter {
  list_sessions: 'sessions';
  get_me: 'me';
  patch_me: 'updateMe';
  get_user: 'user';
  list_rooms: 'rooms';
  get_room: 'room';
  patch_room: 'updateRoom';
  list_members: 'members';
  patch_member: 'updateMember';
  ban_user: 'ban';
  unban_user: 'unban';
  list_bans: 'bans';
  list_audit: 'audit';
  list_messages: 'messages';
  search_messages: 'search';
  list_pins: 'pins';
  get_message: 'message';
  list_edits: 'edits';
  list_thread: 'thread';
  add_reaction: 'react';
  remove_reaction: 'unreact';
  pin_message: 'pin';
  unpin_message: 'unpin';
  report_message: 'report';
}
/** Signing in and out is the session's. */
type OfSession = 'register' | 'login' | 'refresh' | 'logout';
type OfAttachments =
  | 'upload_attachment'
  | 'presign_attachment'
  | 'complete_attachment'
  | 'get_attachment'
  | 'get_attachment_content'
  | 'delete_attachment';
type Uncovered = Exclude<keyof typeof ROUTES, Snake<ApiNames> | keyof Shorter | OfSession | OfAttachments>;

test('every route has its method', () => {
  expectTypeOf<Uncovered>().toEqualTypeOf<never>();
  expectTypeOf<Shorter[keyof Shorter]>().toExtend<ApiNames>();
});

test('every code of the catalogue makes an error of its own code', () => {
  for (const [code, { retry }] of Object.entries(ERRORS)) {
    expect(errorOf({ code, error: 'a sentence', retry, field: 'f', request_id: 'r' })).toMatchObject({
      code,
      retry,
      message: 'a sentence',
      field: 'f',
      requestId: 'r',
      retryAfterMs: null,
    });
  }
  expectTypeOf<keyof typeof ERRORS>().toEqualTypeOf<import('../../client/src/errors.js').ServerCode>();
});

test('every frame that the protocol lets a client send is sent somewhere in the client', () => {
  const files = ['client', 'connection', 'room', 'typing'];
  const source = files
    .map((file) => readFileSync(join(import.meta.dirname, `../../client/src/${file}.ts`), 'utf8'))
    .join('');
  const unsent = Object.keys(CLIENT_FRAMES).filter((type) => !source.includes(`'${type}'`));
  expect(unsent).toEqual([]);
});
