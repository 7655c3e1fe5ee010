import Type, { type TSchema } from 'typebox';
import type { ErrorCode } from '../protocol/errors.js';
import { UUID_PATTERN } from '../protocol/ids.js';
import {
  Attachment,
  AuditEntry,
  Ban,
  DirectUpload,
  Me,
  Member,
  Message,
  MessageEdit,
  MyRoom,
  Room,
  SearchHit,
  Session,
  User,
} from '../protocol/model.js';
import {
  AddMemberBody,
  BanBody,
  CreateRoomBody,
  EditBody,
  LoginBody,
  NoBody,
  PasswordBody,
  PatchMeBody,
  PatchMemberBody,
  PatchRoomBody,
  PresignBody,
  ReactionBody,
  ReadBody,
  RefreshBody,
  RegisterBody,
  ReportBody,
  SendBody,
} from '../protocol/requests.js';

/**
 * The REST routes of PROTOCOL §2 under /api/v1 that shards answer. The front reads from it what to check and
 * which shard to ask; the shards register one handler per name.
 */
export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Parameters are `:name`; all of them are UUIDs but `:emoji`. */
  readonly path: string;
  /** False for the routes marked * in PROTOCOL §2. */
  readonly auth: boolean;
  /** {@link NoBody} where it takes none; null where a body isn't looked at (reads), or isn't JSON. */
  readonly body: TSchema | null;
  /** The largest body, in bytes, where MAX_BODY_BYTES says no less. */
  readonly bodyMaxBytes: number;
  /** Whether the body may be left away: like `{}`. */
  readonly bodyOptional?: true;
  /** Whether the body is a multipart form with a file in the field `file`. */
  readonly form?: true;
  /** Whether a success is a file, in ranges where asked for, or a redirection to one. */
  readonly content?: true;
  readonly query: TSchema | null;
  /**
   * Who answers: the shard of the room in the path, of the caller, or (`any`) one chosen by the first path
   * parameter or at random, which may answer `reroute`; or the thread that moves attachments (`transfer`).
   */
  readonly shard: 'room' | 'caller' | 'any' | 'transfer';
  /** Which limit counts the request: a user's (`rest`) or an address' (`auth`). */
  readonly limit: 'rest' | 'auth';
  /** One line for the documents. */
  readonly summary: string;
  /** What a success answers under `data`; of a list, one entry. */
  readonly data: TSchema;
  /** Whether `data` is a list with a `page` beside it. */
  readonly list?: true;
  /** The statuses of success; the second is a repeat that changed nothing. */
  readonly statuses: readonly [200] | readonly [201] | readonly [201, 200];
  /** The codes beside those that every route of its kind may answer; said also where there are none. */
  readonly errors: readonly ErrorCode[];
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
const ThreadQuery = Type.Object({ limit: Limit, after: MessageCursor });
const SearchQuery = Type.Object({
  q: Type.String({ minLength: 1, maxLength: 200 }),
  limit: Limit,
  before: MessageCursor,
});
const DiscoverQuery = Type.Object({
  q: Type.Optional(Type.String({ maxLength: 100 })),
  limit: Limit,
  after: Cursor,
});
const UserSearchQuery = Type.Object({ q: Type.String({ minLength: 1, maxLength: 50 }), limit: Limit });

const Nothing = Type.Object({});
const SignedIn = Type.Object({
  user: Me,
  token: Type.String(),
  refresh_token: Type.String(),
  /** Seconds. */
  expires_in: Type.Integer({ minimum: 1 }),
});

type Told = Pick<Route, 'summary' | 'data' | 'errors'> &
  Partial<Pick<Route, 'list' | 'statuses' | 'limit' | 'bodyOptional' | 'bodyMaxBytes' | 'form' | 'content'>>;
/** Room for every body that its schema takes, with each character written as an escape. */
const BODY_MAX_BYTES = 32 * 1_024;
/** 5,000 code points by two escapes are 60,000 bytes; and 4 KiB of metadata, escaped and spaced. */
const MESSAGE_MAX_BYTES = 128 * 1_024;
const common = {
  auth: true,
  bodyMaxBytes: BODY_MAX_BYTES,
  limit: 'rest',
  statuses: [200],
} as const;

function get(path: string, shard: Route['shard'], told: Told, query: TSchema | null = null): Route {
  return { method: 'get', path, shard, body: null, query, ...common, ...told };
}
function write(
  method: Route['method'],
  path: string,
  shard: Route['shard'],
  told: Told,
  body: TSchema | null = NoBody,
): Route {
  const optional = body === NoBody ? ({ bodyOptional: true } as const) : {};
  return { method, path, shard, body, query: null, ...common, ...optional, ...told };
}
function open(path: string, body: TSchema, told: Told): Route {
  return { ...write('post', path, 'any', told, body), auth: false, limit: 'auth' };
}

/** What hides or closes a room to a caller. */
const HIDDEN = ['not_found'] as const;
const MEMBERS = ['not_found', 'not_a_member'] as const;
const RANKED = ['not_found', 'not_a_member', 'forbidden'] as const;

export const ROUTES = {
  register: open('/auth/register', RegisterBody, {
    summary: 'Create an account and sign in',
    data: SignedIn,
    statuses: [201],
    errors: ['conflict'],
  }),
  login: open('/auth/login', LoginBody, {
    summary: 'Sign in',
    data: SignedIn,
    errors: ['invalid_credentials', 'forbidden'],
  }),
  refresh: open('/auth/refresh', RefreshBody, {
    summary: 'Spend a refresh token for new tokens; spending it twice ends the session',
    data: SignedIn,
    errors: ['unauthenticated', 'token_expired', 'token_reused', 'forbidden'],
  }),
  logout: write('post', '/auth/logout', 'caller', {
    summary: 'End this session everywhere; its sockets close with 4010',
    data: Nothing,
    errors: [],
  }),
  change_password: write(
    'post',
    '/auth/password',
    'caller',
    {
      summary: 'Change the password and end all other sessions',
      data: Nothing,
      errors: ['invalid_credentials'],
      limit: 'auth',
    },
    PasswordBody,
  ),
  list_sessions: get('/auth/sessions', 'caller', {
    summary: 'The sessions (devices) that are signed in',
    data: Session,
    list: true,
    errors: [],
  }),
  end_session: write('delete', '/auth/sessions/:sessionId', 'caller', {
    summary: 'End one of your sessions',
    data: Nothing,
    errors: HIDDEN,
  }),
  get_me: get('/users/me', 'caller', { summary: 'Your own account', data: Me, errors: [] }),
  patch_me: write(
    'patch',
    '/users/me',
    'caller',
    { summary: 'Change your name, avatar or status', data: Me, errors: ['conflict'] },
    PatchMeBody,
  ),
  delete_me: write('delete', '/users/me', 'caller', {
    summary: 'Delete your account; your messages stay, under a deleted author',
    data: Nothing,
    errors: ['conflict'],
  }),
  search_users: get(
    '/users/search',
    'any',
    { summary: 'Users whose name starts with a text', data: User, list: true, errors: [] },
    UserSearchQuery,
  ),
  get_user: get('/users/:userId', 'any', { summary: 'A user', data: User, errors: HIDDEN }),
  create_room: write(
    'post',
    '/rooms',
    'caller',
    {
      summary: 'Create a room; a direct one exists once for each pair',
      data: Room,
      statuses: [201, 200],
      errors: [...HIDDEN, 'quota_exceeded'],
    },
    CreateRoomBody,
  ),
  list_rooms: get(
    '/rooms',
    'caller',
    { summary: 'Your rooms, the most recently active first', data: MyRoom, list: true, errors: [] },
    Page,
  ),
  discover_rooms: get(
    '/rooms/discover',
    'caller',
    { summary: 'Public rooms, by the words their names start with', data: Room, list: true, errors: [] },
    DiscoverQuery,
  ),
  get_room: get('/rooms/:roomId', 'room', {
    summary: 'A room; with your own read state where you are a member',
    data: Type.Union([MyRoom, Room]),
    errors: HIDDEN,
  }),
  patch_room: write(
    'patch',
    '/rooms/:roomId',
    'room',
    {
      summary: 'Change a room (admins)',
      data: Type.Union([MyRoom, Room]),
      errors: [...RANKED, 'conflict'],
    },
    PatchRoomBody,
  ),
  delete_room: write('delete', '/rooms/:roomId', 'room', {
    summary: 'Delete a room (admins)',
    data: Nothing,
    errors: RANKED,
  }),
  join_room: write('post', '/rooms/:roomId/join', 'room', {
    summary: 'Join a public room',
    data: Type.Union([MyRoom, Room]),
    errors: [...HIDDEN, 'banned'],
  }),
  leave_room: write('post', '/rooms/:roomId/leave', 'room', {
    summary: 'Leave a room',
    data: Nothing,
    errors: [...MEMBERS, 'conflict'],
  }),
  list_members: get(
    '/rooms/:roomId/members',
    'room',
    { summary: 'The members of a room, the earliest first', data: Member, list: true, errors: MEMBERS },
    Page,
  ),
  add_member: write(
    'post',
    '/rooms/:roomId/members',
    'room',
    {
      summary: 'Add a member (moderators, to roles below their own; admins)',
      data: Member,
      statuses: [201, 200],
      errors: [...RANKED, 'conflict', 'banned'],
    },
    AddMemberBody,
  ),
  patch_member: write(
    'patch',
    '/rooms/:roomId/members/:userId',
    'room',
    {
      summary: 'Change a role (admins) or mute a member (moderators)',
      data: Member,
      errors: [...RANKED, 'conflict'],
    },
    PatchMemberBody,
  ),
  remove_member: write('delete', '/rooms/:roomId/members/:userId', 'room', {
    summary: 'Remove a member (moderators), or leave',
    data: Nothing,
    errors: [...RANKED, 'conflict'],
  }),
  ban_user: write(
    'put',
    '/rooms/:roomId/bans/:userId',
    'room',
    {
      summary: 'Ban a user from a room (moderators): removed now, and kept out',
      data: Ban,
      errors: [...RANKED, 'conflict'],
      bodyOptional: true,
    },
    BanBody,
  ),
  unban_user: write('delete', '/rooms/:roomId/bans/:userId', 'room', {
    summary: 'Lift a ban (moderators)',
    data: Nothing,
    errors: RANKED,
  }),
  list_bans: get(
    '/rooms/:roomId/bans',
    'room',
    { summary: 'Who is banned from a room (moderators)', data: Ban, list: true, errors: RANKED },
    Page,
  ),
  list_audit: get(
    '/rooms/:roomId/audit',
    'room',
    {
      summary: 'What moderators and admins did in a room, the newest first (moderators)',
      data: AuditEntry,
      list: true,
      errors: RANKED,
    },
    Page,
  ),
  list_messages: get(
    '/rooms/:roomId/messages',
    'room',
    {
      summary: 'History, always newest first: the messages nearest to a number or message',
      data: Message,
      list: true,
      errors: MEMBERS,
    },
    HistoryQuery,
  ),
  send_message: write(
    'post',
    '/rooms/:roomId/messages',
    'room',
    {
      summary: 'Send a message; a repeat of the same id answers the first result',
      data: Message,
      statuses: [201, 200],
      errors: [...MEMBERS, 'muted', 'slow_mode', 'id_conflict'],
      bodyMaxBytes: MESSAGE_MAX_BYTES,
    },
    SendBody,
  ),
  search_messages: get(
    '/rooms/:roomId/messages/search',
    'room',
    {
      summary: 'Search a room: words, "phrases", or, -not; newest first',
      data: SearchHit,
      list: true,
      errors: MEMBERS,
    },
    SearchQuery,
  ),
  mark_read: write(
    'post',
    '/rooms/:roomId/read',
    'room',
    { summary: 'Move the read watermark forward', data: Nothing, errors: MEMBERS },
    ReadBody,
  ),
  list_pins: get('/rooms/:roomId/pins', 'room', {
    summary: 'The pinned messages of a room, the latest pinned first, at most 100',
    data: Message,
    list: true,
    errors: MEMBERS,
  }),
  get_message: get('/messages/:messageId', 'any', { summary: 'A message', data: Message, errors: MEMBERS }),
  edit_message: write(
    'patch',
    '/messages/:messageId',
    'any',
    {
      summary: 'Edit a message (its author)',
      data: Message,
      errors: [...RANKED, 'muted'],
      bodyMaxBytes: MESSAGE_MAX_BYTES,
    },
    EditBody,
  ),
  delete_message: write('delete', '/messages/:messageId', 'any', {
    summary: 'Delete a message (its author, or who may act on its author); a tombstone stays',
    data: Message,
    errors: RANKED,
  }),
  list_edits: get('/messages/:messageId/edits', 'any', {
    summary: 'What a message said before its edits, the latest first, at most 100',
    data: MessageEdit,
    list: true,
    errors: MEMBERS,
  }),
  list_thread: get(
    '/messages/:messageId/thread',
    'any',
    { summary: 'The messages of a thread, the earliest first', data: Message, list: true, errors: MEMBERS },
    ThreadQuery,
  ),
  add_reaction: write(
    'post',
    '/messages/:messageId/reactions',
    'any',
    {
      summary: 'React to a message; a repeat changes nothing',
      data: Message,
      errors: [...MEMBERS, 'muted', 'conflict'],
    },
    ReactionBody,
  ),
  remove_reaction: write('delete', '/messages/:messageId/reactions/:emoji', 'any', {
    summary: 'Take a reaction back; a repeat changes nothing',
    data: Message,
    errors: MEMBERS,
  }),
  pin_message: write('put', '/messages/:messageId/pin', 'any', {
    summary: 'Pin a message (moderators); at most 100 a room',
    data: Message,
    errors: [...RANKED, 'conflict'],
  }),
  unpin_message: write('delete', '/messages/:messageId/pin', 'any', {
    summary: 'Unpin a message (moderators)',
    data: Message,
    errors: RANKED,
  }),
  report_message: write(
    'post',
    '/messages/:messageId/report',
    'any',
    {
      summary: 'Report a message to the moderators of its room; a repeat changes the reason',
      data: Nothing,
      errors: [...MEMBERS, 'conflict'],
    },
    ReportBody,
  ),
  upload_attachment: write(
    'post',
    '/rooms/:roomId/attachments',
    'transfer',
    {
      summary:
        'Upload a file (multipart/form-data, field `file`), to be attached to a message within 24 hours',
      data: Attachment,
      statuses: [201],
      errors: [...MEMBERS, 'muted', 'quota_exceeded', 'unsupported_media_type'],
      form: true,
    },
    null,
  ),
  presign_attachment: write(
    'post',
    '/rooms/:roomId/attachments/presign',
    'transfer',
    {
      summary: 'Announce a file that you bring to storage yourself; then complete it',
      data: DirectUpload,
      statuses: [201],
      errors: [...MEMBERS, 'muted', 'quota_exceeded'],
    },
    PresignBody,
  ),
  complete_attachment: write('post', '/attachments/:attachmentId/complete', 'transfer', {
    summary: 'Say that the file is in storage: it is checked, and may then be attached',
    data: Attachment,
    errors: [...HIDDEN, 'unsupported_media_type'],
  }),
  get_attachment: get('/attachments/:attachmentId', 'transfer', {
    summary: 'An attachment, with links that are good for some minutes',
    data: Attachment,
    errors: HIDDEN,
  }),
  get_attachment_content: get('/attachments/:attachmentId/content', 'transfer', {
    summary: 'The file itself, in ranges where asked for; or a redirection to storage (302)',
    data: Nothing,
    errors: HIDDEN,
    content: true,
  }),
  delete_attachment: write('delete', '/attachments/:attachmentId', 'any', {
    summary:
      'Delete an attachment (its uploader, or who may act on its uploader); its message changes and takes a rev',
    data: Nothing,
    errors: [...HIDDEN, 'forbidden'],
  }),
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;
/** The routes that the transfer thread answers; all others are the shards'. */
export type TransferRoute = Exclude<
  Extract<RouteName, `${string}_attachment` | 'get_attachment_content'>,
  'delete_attachment'
>;
export type ShardRoute = Exclude<RouteName, TransferRoute>;
