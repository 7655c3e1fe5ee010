import Type, { type Static } from 'typebox';
import { Role, RoomType, Timestamp, UserStatus, Uuid } from './model.js';

/** The bodies and queries of REST and the payloads of frames (PROTOCOL §2, §3). Unknown members are refused. */
const closed = { additionalProperties: false } as const;
const object = <P extends Parameters<typeof Type.Object>[0]>(properties: P) =>
  Type.Object(properties, closed);

/** A seq_no or rev. */
const Counter = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const CONTENT_MAX_CODE_POINTS = 5_000; // PROTOCOL §2, seed §6.3
export const METADATA_MAX_BYTES = 4_096; // PROTOCOL §1, as JSON
export const SYNC_LIMIT_MAX = 500; // PROTOCOL §3
export const RESUME_ROOMS_MAX = 500; // PROTOCOL §3

const Username = Type.String({ pattern: '^[A-Za-z0-9_-]{3,50}$' });
const Email = Type.String({
  maxLength: 255,
  pattern:
    '^[^\\s@\\u0000-\\u001f\\u007f]+@[^\\s@.\\u0000-\\u001f\\u007f]+(\\.[^\\s@.\\u0000-\\u001f\\u007f]+)*$',
});
const Password = Type.String({ minLength: 8, maxLength: 1_024 });
/** A password offered for checking: any length up to the cap, so that a wrong one is only ever "wrong". */
const OfferedPassword = Type.String({ maxLength: 1_024 });
const RefreshToken = Type.String({ minLength: 1, maxLength: 512 });

export const RegisterBody = object({ username: Username, email: Email, password: Password });
export type RegisterBody = Static<typeof RegisterBody>;
export const LoginBody = object({
  email: Type.String({ maxLength: 255 }),
  password: OfferedPassword,
  device: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
});
export type LoginBody = Static<typeof LoginBody>;
export const RefreshBody = object({ refresh_token: RefreshToken });
export type RefreshBody = Static<typeof RefreshBody>;
export const PasswordBody = object({ current_password: OfferedPassword, new_password: Password });
export type PasswordBody = Static<typeof PasswordBody>;

export const PatchMeBody = object({
  username: Type.Optional(Username),
  avatar_url: Type.Optional(
    Type.Union([
      Type.String({
        maxLength: 500,
        pattern: '^https://[^\\s/?#@\\u0000-\\u001f]+(?:[/?#][^\\s\\u0000-\\u001f]*)?$',
      }),
      Type.Null(),
    ]),
  ),
  /** What others see while the user is connected; `offline` hides. */
  status: Type.Optional(UserStatus),
});
export type PatchMeBody = Static<typeof PatchMeBody>;

const RoomName = Type.String({ minLength: 3, maxLength: 100, pattern: '\\S' });
const Description = Type.Union([Type.String({ maxLength: 2_000 }), Type.Null()]);

export const CreateRoomBody = object({
  name: Type.Optional(RoomName),
  description: Type.Optional(Description),
  type: RoomType,
  member_ids: Type.Optional(Type.Array(Uuid, { maxItems: 100 })),
});
export type CreateRoomBody = Static<typeof CreateRoomBody>;
export const SLOW_MODE_MAX_S = 21_600; // six hours, as elsewhere
export const PatchRoomBody = object({
  name: Type.Optional(RoomName),
  description: Type.Optional(Description),
  slow_mode_s: Type.Optional(Type.Integer({ minimum: 0, maximum: SLOW_MODE_MAX_S })),
});
export type PatchRoomBody = Static<typeof PatchRoomBody>;
/** A text a person typed as a reason. */
const Reason = Type.String({ minLength: 1, maxLength: 500 });
export const BanBody = object({ reason: Type.Optional(Reason) });
export type BanBody = Static<typeof BanBody>;
export const ReportBody = object({ reason: Reason });
export type ReportBody = Static<typeof ReportBody>;
export const AddMemberBody = object({ user_id: Uuid, role: Type.Optional(Role) });
export type AddMemberBody = Static<typeof AddMemberBody>;
export const PatchMemberBody = object({
  role: Type.Optional(Role),
  muted_until: Type.Optional(Type.Union([Timestamp, Type.Null()])),
});
export type PatchMemberBody = Static<typeof PatchMemberBody>;

export const SendBody = object({
  content: Type.String({ maxLength: CONTENT_MAX_CODE_POINTS }),
  id: Type.Optional(Uuid),
  attachment_ids: Type.Optional(Type.Array(Uuid, { maxItems: 10 })),
  reply_to: Type.Optional(Type.Union([Uuid, Type.Null()])),
  thread_root: Type.Optional(Type.Union([Uuid, Type.Null()])),
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type SendBody = Static<typeof SendBody>;
export const EditBody = object({
  content: Type.String({ minLength: 1, maxLength: CONTENT_MAX_CODE_POINTS }),
});
export type EditBody = Static<typeof EditBody>;
export const ReadBody = object({ seq_no: Counter });
export type ReadBody = Static<typeof ReadBody>;

/** A file's name is a label: anything a person may read, never a path. */
export const FileName = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[^\\u0000-\\u001f\\u007f]+$',
});
export const PresignBody = object({
  file_name: FileName,
  file_type: Type.String({ maxLength: 255, pattern: '^[\\x21-\\x7e]+/[\\x20-\\x7e]+$' }),
  file_size: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
});
export type PresignBody = Static<typeof PresignBody>;

/** Of writes that take nothing. */
export const NoBody = object({});

/** Frame payloads. */
export const AuthenticatePayload = object({ token: Type.String({ minLength: 1, maxLength: 4_096 }) });
export type AuthenticatePayload = Static<typeof AuthenticatePayload>;
const Since = Counter;
export const JoinPayload = object({ since: Type.Optional(Since) });
export type JoinPayload = Static<typeof JoinPayload>;
export const ResumePayload = object({
  rooms: Type.Array(object({ room_id: Uuid, since: Type.Optional(Since) }), { maxItems: RESUME_ROOMS_MAX }),
});
export type ResumePayload = Static<typeof ResumePayload>;
export const SyncPayload = object({
  since: Since,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: SYNC_LIMIT_MAX })),
});
export type SyncPayload = Static<typeof SyncPayload>;
export const EditPayload = object({
  message_id: Uuid,
  content: Type.String({ minLength: 1, maxLength: CONTENT_MAX_CODE_POINTS }),
});
export type EditPayload = Static<typeof EditPayload>;
export const DeletePayload = object({ message_id: Uuid });
export type DeletePayload = Static<typeof DeletePayload>;
export const PINS_MAX = 100; // a room's pins: as many as one answer lists
export const REACTION_KINDS_MAX = 50; // a message's different emoji (PROTOCOL §2)
/** An emoji of at most 32 code points, or a `:shortcode:`. */
export const Emoji = Type.String({
  maxLength: 64,
  pattern: '^(?::[a-z0-9_+-]{1,62}:|[^\\s:\\u0000-\\u001f\\u007f-\\u009f]{1,32})$',
});
export const ReactionBody = object({ emoji: Emoji });
export type ReactionBody = Static<typeof ReactionBody>;
export const ReactionPayload = object({ message_id: Uuid, emoji: Emoji });
export type ReactionPayload = Static<typeof ReactionPayload>;
export const EmptyPayload = object({});
