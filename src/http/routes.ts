import Type, { type TSchema } from 'typebox';
import { UUID_PATTERN } from '../protocol/ids.js';
import {
  AddMemberBody,
  CreateRoomBody,
  EditBody,
  LoginBody,
  PasswordBody,
  PatchMemberBody,
  PatchRoomBody,
  ReadBody,
  RefreshBody,
  RegisterBody,
  SendBody,
} from '../protocol/requests.js';

/**
 * The REST routes of PROTOCOL §2 under /api/v1 that shards answer. The front reads from it what to check and
 * which shard to ask; the shards register one handler per name.
 */
export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Parameters are `:name`; all of them are UUIDs. */
  readonly path: string;
  /** False for the routes marked * in PROTOCOL §2. */
  readonly auth: boolean;
  readonly body: TSchema | null;
  readonly query: TSchema | null;
  /**
   * Who answers: the shard of the room in the path, of the caller, or (`any`) one chosen by the first path
   * parameter or at random, which may answer `reroute`.
   */
  readonly shard: 'room' | 'caller' | 'any';
  /** Which limit counts the request: a user's (`rest`) or an address' (`auth`). */
  readonly limit: 'rest' | 'auth';
}

export const PAGE_LIMIT_DEFAULT = 20; // PROTOCOL §2
const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }));
/** A message cursor: a seq_no or a message id. */
const MessageCursor = Type.Optional(Type.String({ pattern: `^[0-9]{1,15}$|${UUID_PATTERN}` }));
/** An opaque cursor as `page.next` gave it. */
const Cursor = Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,200}$' }));

const Page = Type.Object({ limit: Limit, after: Cursor });
const HistoryQuery = Type.Object({
  limit: Limit,
  before: MessageCursor,
  after: MessageCursor,
  around: MessageCursor,
});

const get = (path: string, shard: Route['shard'], query: TSchema | null = null) =>
  ({ method: 'get', path, auth: true, body: null, query, shard, limit: 'rest' }) as const;
const write = (method: Route['method'], path: string, shard: Route['shard'], body: TSchema | null = null) =>
  ({ method, path, auth: true, body, query: null, shard, limit: 'rest' }) as const;
const open = (path: string, body: TSchema) =>
  ({ method: 'post', path, auth: false, body, query: null, shard: 'any', limit: 'auth' }) as const;

export const ROUTES = {
  register: open('/auth/register', RegisterBody),
  login: open('/auth/login', LoginBody),
  refresh: open('/auth/refresh', RefreshBody),
  logout: write('post', '/auth/logout', 'caller'),
  change_password: { ...write('post', '/auth/password', 'caller', PasswordBody), limit: 'auth' },
  list_sessions: get('/auth/sessions', 'caller'),
  end_session: write('delete', '/auth/sessions/:sessionId', 'caller'),
  get_me: get('/users/me', 'caller'),
  get_user: get('/users/:userId', 'any'),
  create_room: write('post', '/rooms', 'caller', CreateRoomBody),
  list_rooms: get('/rooms', 'caller', Page),
  get_room: get('/rooms/:roomId', 'room'),
  patch_room: write('patch', '/rooms/:roomId', 'room', PatchRoomBody),
  delete_room: write('delete', '/rooms/:roomId', 'room'),
  join_room: write('post', '/rooms/:roomId/join', 'room'),
  leave_room: write('post', '/rooms/:roomId/leave', 'room'),
  list_members: get('/rooms/:roomId/members', 'room', Page),
  add_member: write('post', '/rooms/:roomId/members', 'room', AddMemberBody),
  patch_member: write('patch', '/rooms/:roomId/members/:userId', 'room', PatchMemberBody),
  remove_member: write('delete', '/rooms/:roomId/members/:userId', 'room'),
  list_messages: get('/rooms/:roomId/messages', 'room', HistoryQuery),
  send_message: write('post', '/rooms/:roomId/messages', 'room', SendBody),
  mark_read: write('post', '/rooms/:roomId/read', 'room', ReadBody),
  get_message: get('/messages/:messageId', 'any'),
  edit_message: write('patch', '/messages/:messageId', 'any', EditBody),
  delete_message: write('delete', '/messages/:messageId', 'any'),
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;
