import Type, { type Static, type TSchema } from 'typebox';
import { UUID_PATTERN } from './ids.js';

/** The shapes of PROTOCOL §1, as schemas; the types are derived from them. */

export const Uuid = Type.String({ pattern: UUID_PATTERN });
export const Timestamp = Type.String({ format: 'date-time' });
const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Count = Type.Integer({ minimum: 0 });

export const Role = Type.Union([Type.Literal('admin'), Type.Literal('moderator'), Type.Literal('member')]);
export type Role = Static<typeof Role>;

export const RoomType = Type.Union([Type.Literal('public'), Type.Literal('private'), Type.Literal('direct')]);
export type RoomType = Static<typeof RoomType>;

export const Reaction = Type.Object({ emoji: Type.String(), count: Count, user_ids: Type.Array(Uuid) });

const LINK =
  'Short-lived, made when it is read. Over WebSocket a path of this server where its files lie on its own disk and it has no PUBLIC_URL.';

export const Attachment = Type.Object({
  id: Uuid,
  message_id: Nullable(Uuid),
  room_id: Uuid,
  file_name: Type.String(),
  file_type: Type.String(),
  file_size: Count,
  width: Nullable(Count),
  height: Nullable(Count),
  storage_url: Type.String({ description: LINK }),
  thumbnail_url: Type.Union([Type.String(), Type.Null()], { description: LINK }),
  created_at: Timestamp,
});
export type Attachment = Static<typeof Attachment>;

/** One request by which a client brings bytes to storage itself. */
const DirectPut = {
  method: Type.Literal('PUT'),
  url: Type.String({
    description: 'Where the bytes go; carries its own permission, so no token is sent with it.',
  }),
  headers: Type.Record(Type.String(), Type.String()),
};
/** How a client brings a file to storage itself: in one request, or in parts (all of them, in any order). */
export const DirectUpload = Type.Object({
  attachment: Attachment,
  upload: Type.Union([
    Type.Object({ ...DirectPut, expires_at: Timestamp }),
    Type.Object({
      parts: Type.Array(
        Type.Object({ ...DirectPut, part_number: Type.Integer({ minimum: 1 }), size: Count }),
      ),
      expires_at: Timestamp,
    }),
  ]),
});
export type DirectUpload = Static<typeof DirectUpload>;

export const Message = Type.Object({
  id: Uuid,
  room_id: Uuid,
  user_id: Uuid,
  username: Type.String(),
  seq_no: Type.Integer({ minimum: 1 }),
  rev: Type.Integer({ minimum: 1 }),
  type: Type.Union([Type.Literal('text'), Type.Literal('system')]),
  content: Type.String(),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  mentions: Type.Array(Uuid),
  reply_to: Nullable(Uuid),
  thread_root: Nullable(Uuid),
  thread_count: Count,
  edited: Type.Boolean(),
  edited_at: Nullable(Timestamp),
  pinned: Type.Boolean(),
  reactions: Type.Array(Reaction),
  attachments: Type.Array(Attachment),
  created_at: Timestamp,
  updated_at: Timestamp,
  deleted_at: Nullable(Timestamp),
});
export type Message = Static<typeof Message>;

export const UserStatus = Type.Union([Type.Literal('online'), Type.Literal('away'), Type.Literal('offline')]);
export type UserStatus = Static<typeof UserStatus>;

export const User = Type.Object({
  id: Uuid,
  username: Type.String(),
  avatar_url: Nullable(Type.String()),
  status: UserStatus,
  last_seen_at: Nullable(Timestamp),
  created_at: Timestamp,
});
export type User = Static<typeof User>;

export const Me = Type.Object({ ...User.properties, email: Type.String() });
export type Me = Static<typeof Me>;

export const Room = Type.Object({
  id: Uuid,
  name: Nullable(Type.String()),
  description: Nullable(Type.String()),
  type: RoomType,
  created_by: Nullable(Uuid),
  slow_mode_s: Count,
  head_seq: Count,
  head_rev: Count,
  member_count: Count,
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type Room = Static<typeof Room>;

/** A room in a member's own listings. */
export const MyRoom = Type.Object({
  ...Room.properties,
  role: Role,
  last_read_seq: Count,
  unread_count: Count,
  mention_count: Count,
  last_message: Nullable(Message),
});
export type MyRoom = Static<typeof MyRoom>;

export const Member = Type.Object({
  user_id: Uuid,
  username: Type.String(),
  avatar_url: Nullable(Type.String()),
  role: Role,
  joined_at: Timestamp,
  last_read_seq: Count,
  muted_until: Nullable(Timestamp),
});
export type Member = Static<typeof Member>;

/** Somebody who may not come back to a room. */
export const Ban = Type.Object({
  user_id: Uuid,
  username: Type.String(),
  reason: Nullable(Type.String()),
  banned_by: Nullable(Uuid),
  created_at: Timestamp,
});
export type Ban = Static<typeof Ban>;

export const AUDIT_ACTIONS = [
  'member_added',
  'member_removed',
  'role_changed',
  'member_muted',
  'member_unmuted',
  'member_banned',
  'member_unbanned',
  'message_deleted',
  'message_reported',
  'message_pinned',
  'message_unpinned',
  'room_updated',
  'attachment_deleted',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Something that somebody did to somebody or something in a room; for its moderators and admins. */
export const AuditEntry = Type.Object({
  id: Uuid,
  room_id: Uuid,
  action: Type.Enum(AUDIT_ACTIONS),
  actor_id: Uuid,
  actor_username: Type.String(),
  target_user_id: Nullable(Uuid),
  target_message_id: Nullable(Uuid),
  /** What the action needs beside: the reason, the new role, the changed members. */
  details: Type.Record(Type.String(), Type.Unknown()),
  created_at: Timestamp,
});
export type AuditEntry = Static<typeof AuditEntry>;

/** What a message said before an edit; `rev` is the edit's. */
export const MessageEdit = Type.Object({ rev: Count, content: Type.String(), edited_at: Timestamp });
export type MessageEdit = Static<typeof MessageEdit>;

/** A message that a search found. */
export const SearchHit = Type.Object({
  ...Message.properties,
  /** The content as HTML: escaped, with what was searched for in `<mark>`. */
  highlight: Type.String(),
});
export type SearchHit = Static<typeof SearchHit>;

/** A device list entry of GET /auth/sessions. */
export const Session = Type.Object({
  id: Uuid,
  device: Nullable(Type.String()),
  created_at: Timestamp,
  last_used_at: Timestamp,
  expires_at: Timestamp,
  current: Type.Boolean(),
});
export type Session = Static<typeof Session>;
