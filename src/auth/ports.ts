import type { SessionId, UserId } from '../protocol/ids.js';
import type { UserStatus } from '../protocol/model.js';

/** What accounts ask of the world. `accountStore` in src/store/users.ts implements the store on PostgreSQL. */

/** A user who isn't deleted. */
export interface Account {
  readonly id: UserId;
  readonly username: string;
  /** As registered; compared without regard to case. Never shown to others. */
  readonly email: string;
  readonly avatar_url: string | null;
  /** What the user chose to be seen as while connected; `offline` hides. */
  readonly chosen_status: UserStatus;
  readonly last_seen_at: Date | null;
  readonly created_at: Date;
}

export interface NewAccount {
  readonly id: UserId;
  readonly username: string;
  readonly email: string;
  readonly password_hash: string;
}

/** What a password is checked against. */
export interface Credentials {
  readonly account: Account;
  readonly password_hash: string;
  /** Until when the user may not log in: epoch ms, Infinity for ever; null where he may. */
  readonly suspended_until_ms: number | null;
}

/** A session to be opened, with the first refresh token of its family. */
export interface NewSession {
  readonly id: SessionId;
  /** At most 200 code points. */
  readonly device: string | null;
  /** Milliseconds from now, by the database's clock. */
  readonly lifetimeMs: number;
  /** SHA-256, 32 bytes. */
  readonly refreshTokenHash: Uint8Array;
}

export interface SessionRecord {
  readonly id: SessionId;
  readonly device: string | null;
  readonly created_at: Date;
  readonly last_used_at: Date;
  readonly expires_at: Date;
}

/** Why a refresh token wasn't good for a rotation. */
export interface RefreshTokenState {
  readonly session_id: SessionId;
  readonly user_id: UserId;
  readonly used: boolean;
  readonly session_ended: boolean;
  readonly session_expired: boolean;
  /** As in {@link Credentials}. */
  readonly suspended_until_ms: number | null;
}

export interface PasswordChange {
  readonly user_id: UserId;
  /** The session that stays. */
  readonly sid: SessionId;
  /** The hash that the current password was checked against. */
  readonly from: string;
  readonly to: string;
}

/**
 * Users and their sessions. Each method is one atomic operation, judged by the database's clock. All throw
 * `StoreUnavailable` when the database is away or the outcome unknown.
 */
export interface AccountStore {
  /** Creates user and session together, or says which of the unique members is taken, in any case. */
  createAccount(
    account: NewAccount,
    session: NewSession,
  ): Promise<{ ok: true; account: Account } | { ok: false; taken: 'email' | 'username' }>;
  /** Emails are compared without regard to case. */
  credentialsByEmail(email: string): Promise<Credentials | null>;
  passwordHashOf(user_id: UserId): Promise<string | null>;
  accountById(user_id: UserId): Promise<Account | null>;
  /** Opens a session if the user's password hash is still `password_hash` and he isn't suspended; false otherwise. */
  openSession(user_id: UserId, password_hash: string, session: NewSession): Promise<boolean>;
  /**
   * Spends one refresh token for the next and extends the session to `lifetimeMs` from now. Of calls with
   * the same token at once exactly one succeeds. Null, with nothing changed, where the token is unknown or
   * used or its session has ended or expired.
   */
  rotateRefreshToken(
    spent: Uint8Array,
    next: Uint8Array,
    lifetimeMs: number,
  ): Promise<{ sid: SessionId; account: Account } | null>;
  /** Null: no such token was ever given. */
  refreshTokenState(hash: Uint8Array): Promise<RefreshTokenState | null>;
  /** False where this user has no such live session. */
  endSession(user_id: UserId, sid: SessionId): Promise<boolean>;
  /**
   * Changes the password and ends every other session, those included that open meanwhile.
   * @returns the sessions it ended, or null where the hash isn't `from` any more
   */
  changePassword(change: PasswordChange): Promise<SessionId[] | null>;
  /** Puts `to` in the place of the hash `from` of the same password, if it is still that. Ends no session. */
  rehash(user_id: UserId, from: string, to: string): Promise<void>;
  /** The live sessions that were used last, newest first. */
  liveSessions(user_id: UserId, limit: number): Promise<SessionRecord[]>;
}

/** Slow hashes, run outside of this thread. Both throw Refusal('overloaded') where the queue is full. */
export interface PasswordHasher {
  /** A salted hash in PHC form that names its own parameters. */
  hash(password: string): Promise<string>;
  /** False for a wrong password and for a hash that can't be read. */
  verify(password: string, hash: string): Promise<boolean>;
  /** Whether the hash was made with other parameters than new ones are. At once. */
  isOutdated(hash: string): boolean;
}

/** What a user may change of himself; undefined stays as it is. */
export interface ProfilePatch {
  readonly username?: string | undefined;
  readonly avatar_url?: string | null | undefined;
  readonly status?: UserStatus | undefined;
}

/** Users as they show themselves. Each method is one statement; all throw `StoreUnavailable`. */
export interface ProfileStore {
  /** The account after the change; null where there is none; `taken` where another has the name, in any case. */
  patchProfile(user_id: UserId, patch: ProfilePatch): Promise<Account | 'taken' | null>;
  /** Users whose names start with a text, in any case, the exact match first; deleted ones never. */
  usersByPrefix(prefix: string, limit: number): Promise<Account[]>;
}

/** Tells this process of changes to a user, after they are committed. All return at once. */
export interface UserNews {
  /** The name has changed, or the account is gone: forget what is cached of it. */
  userChanged(user_id: UserId): void;
  /** The user is called this from now on. */
  renamed(user_id: UserId, username: string): void;
  /** The user wants to be seen as this from now on. */
  statusChosen(user_id: UserId, status: UserStatus): void;
}

/** Takes a session's end, after it is committed, to this process' front. */
export interface SessionEnds {
  /** Closes the sessions' sockets with 4010 and refuses their tokens. Returns at once; twice is like once. */
  end(user_id: UserId, sids: readonly SessionId[]): void;
}

/** A user's presence. */
export type StatusOf = (user_id: UserId) => UserStatus;
