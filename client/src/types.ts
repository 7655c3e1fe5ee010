/** What the server answers. Times are RFC 3339 strings in UTC, ids are UUIDs. */

export type Role = 'admin' | 'moderator' | 'member';
export type RoomType = 'public' | 'private' | 'direct';
export type UserStatus = 'online' | 'away' | 'offline';

export interface Reaction {
  readonly emoji: string;
  /** Exact, also where `user_ids` is cut. */
  readonly count: number;
  /** At most the 50 newest. */
  readonly user_ids: readonly string[];
}

export interface Attachment {
  readonly id: string;
  readonly message_id: string | null;
  readonly room_id: string;
  readonly file_name: string;
  readonly file_type: string;
  readonly file_size: number;
  readonly width: number | null;
  readonly height: number | null;
  /**
   * Short-lived: read the message again for a fresh one. In events it may be a path, to be resolved against the server's
   * address: `new URL(storage_url, url)`.
   */
  readonly storage_url: string;
  readonly thumbnail_url: string | null;
  readonly created_at: string;
}

/** A message in its present state; deleted ones stay as tombstones with `deleted_at` set. */
export interface Message {
  readonly id: string;
  readonly room_id: string;
  readonly user_id: string;
  readonly username: string;
  /** The room's message number: 1, 2, 3 … without a gap. */
  readonly seq_no: number;
  /** The room's change number of this message's last change. */
  readonly rev: number;
  readonly type: 'text' | 'system';
  readonly content: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly mentions: readonly string[];
  readonly reply_to: string | null;
  readonly thread_root: string | null;
  readonly thread_count: number;
  readonly edited: boolean;
  readonly edited_at: string | null;
  readonly pinned: boolean;
  readonly reactions: readonly Reaction[];
  readonly attachments: readonly Attachment[];
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleted_at: string | null;
}

/** A message that a search found; `highlight` is escaped HTML with `<mark>`. */
export interface SearchHit extends Message {
  readonly highlight: string;
}

export interface User {
  readonly id: string;
  readonly username: string;
  readonly avatar_url: string | null;
  readonly status: UserStatus;
  readonly last_seen_at: string | null;
  readonly created_at: string;
}

export interface Me extends User {
  readonly email: string;
}

export interface RoomInfo {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly type: RoomType;
  readonly created_by: string | null;
  readonly slow_mode_s: number;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly member_count: number;
  readonly created_at: string;
  readonly updated_at: string;
}

/** A room in your own listings. */
export interface MyRoom extends RoomInfo {
  readonly role: Role;
  readonly last_read_seq: number;
  readonly unread_count: number;
  readonly mention_count: number;
  readonly last_message: Message | null;
}

export interface Member {
  readonly user_id: string;
  readonly username: string;
  readonly avatar_url: string | null;
  readonly role: Role;
  readonly joined_at: string;
  readonly last_read_seq: number;
  readonly muted_until: string | null;
}

export interface Ban {
  readonly user_id: string;
  readonly username: string;
  readonly reason: string | null;
  readonly banned_by: string | null;
  readonly created_at: string;
}

export interface AuditEntry {
  readonly id: string;
  readonly room_id: string;
  /** `member_added`, `role_changed`, `message_deleted` …; later servers may know more. */
  readonly action: string;
  readonly actor_id: string;
  readonly actor_username: string;
  readonly target_user_id: string | null;
  readonly target_message_id: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly created_at: string;
}

/** What a message said before an edit; `rev` is the edit's. */
export interface MessageEdit {
  readonly rev: number;
  readonly content: string;
  readonly edited_at: string;
}

/** A device that is signed in. */
export interface DeviceSession {
  readonly id: string;
  readonly device: string | null;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly current: boolean;
}

/** What registering, signing in and refreshing answer. */
export interface Grant {
  readonly user: Me;
  readonly token: string;
  readonly refresh_token: string;
  /** Seconds. */
  readonly expires_in: number;
}

/** What a message is made of; `content` may be empty with attachments. */
export interface MessageBody {
  readonly content: string;
  readonly attachment_ids?: readonly string[];
  readonly reply_to?: string | null;
  readonly thread_root?: string | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A committed message's numbers. */
export interface Ack {
  readonly id: string;
  readonly seq_no: number;
  readonly rev: number;
  readonly created_at: string;
  /** Whether this id had been committed before. */
  readonly duplicate: boolean;
}
