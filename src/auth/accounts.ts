/**
 * Accounts: who registers, logs in and stays logged in. No answer but register's tells whether an email is
 * known, neither by what it says nor by how long it takes.
 *
 * A refresh token:  given ──rotated──► used ──comes back──► its whole session ends (`token_reused`)
 */
import { randomBytes } from 'node:crypto';
import type { Caller } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import { newId, type SessionId, type UserId } from '../protocol/ids.js';
import type { Me, Session, User } from '../protocol/model.js';
import type { LoginBody, PasswordBody, RegisterBody } from '../protocol/requests.js';
import type {
  Account,
  AccountStore,
  NewSession,
  PasswordHasher,
  RefreshTokenState,
  SessionEnds,
  SessionRecord,
  StatusOf,
} from './ports.js';
import { newRefreshToken, refreshTokenHash, signAccessToken } from './tokens.js';

const SESSIONS_LISTED_MAX = 100; // a page's size (PROTOCOL §2); GET /auth/sessions has no cursor

export interface AccountsOptions {
  readonly store: AccountStore;
  readonly hasher: PasswordHasher;
  readonly ends: SessionEnds;
  readonly statusOf: StatusOf;
  /** Access tokens' HS256 key. */
  readonly jwtSecret: string;
  readonly expirationMs: number;
  readonly refreshExpirationMs: number;
}

/** What register, login and refresh answer (PROTOCOL §2); `expires_in` in seconds. */
export interface SignedIn {
  readonly user: Me;
  readonly token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/**
 * All throw a Refusal for what the caller caused, `Refusal('overloaded')` when too many passwords wait to be
 * hashed, and StoreUnavailable. `device` is at most 200 code points.
 */
export interface Accounts {
  /** @throws Refusal `conflict` with `field` email or username */
  register(body: RegisterBody, device: string | null): Promise<SignedIn>;
  /**
   * @throws Refusal `invalid_credentials`, the same for a wrong password and an unknown email; `forbidden` to whoever
   * knows the password of a suspended account
   */
  login(credentials: Pick<LoginBody, 'email' | 'password'>, device: string | null): Promise<SignedIn>;
  /** @throws Refusal `token_reused`, `token_expired`, `unauthenticated`, or `forbidden` for a suspended account */
  refresh(refresh_token: string): Promise<SignedIn>;
  /** Ends the caller's session; a repeat does nothing. */
  logout(caller: Caller): Promise<void>;
  /** Ends all other sessions of the caller. @throws Refusal `invalid_credentials` */
  changePassword(caller: Caller, body: PasswordBody): Promise<void>;
  /** The caller's live sessions, at most 100, the last used first. */
  listSessions(caller: Caller): Promise<Session[]>;
  /** @throws Refusal `not_found` unless it is a live session of the caller */
  endSession(caller: Caller, sid: SessionId): Promise<void>;
  /** @throws Refusal `unauthenticated` if the caller's account is gone */
  me(caller: Caller): Promise<Me>;
  /** @throws Refusal `not_found` */
  user(user_id: UserId): Promise<User>;
}

export function createAccounts(options: AccountsOptions): Accounts {
  const { store, hasher, ends, statusOf, jwtSecret, refreshExpirationMs } = options;
  // A token that outlived its session would be refused anyway; say so in `expires_in`.
  const expirationMs = Math.min(options.expirationMs, refreshExpirationMs);
  const decoyHash = decoy(hasher);

  const signedIn = (account: Account, sid: SessionId, refresh_token: string): SignedIn => {
    const caller: Caller = { user_id: account.id, username: account.username, sid };
    const access = signAccessToken(caller, { secret: jwtSecret, expirationMs });
    return { user: toMe(account, statusOf), ...access, refresh_token };
  };

  const newSession = (device: string | null): { session: NewSession; refresh_token: string } => {
    const { token, hash } = newRefreshToken();
    const id = newId<SessionId>();
    return {
      session: { id, device, lifetimeMs: refreshExpirationMs, refreshTokenHash: hash },
      refresh_token: token,
    };
  };

  /** Null where the account changed after it was read. @throws Refusal `invalid_credentials` or `forbidden` */
  const open = async (
    { email, password }: Pick<LoginBody, 'email' | 'password'>,
    session: NewSession,
  ): Promise<Account | null> => {
    const unknown = await decoyHash();
    const found = await store.credentialsByEmail(email);
    const verified = await hasher.verify(password, found?.password_hash ?? unknown);
    if (found === null || !verified) throw new Refusal('invalid_credentials');
    const { account, password_hash, suspended_until_ms } = found;
    if (suspended_until_ms !== null) throw suspended(suspended_until_ms);
    if (!(await store.openSession(account.id, password_hash, session))) return null;
    if (hasher.isOutdated(password_hash)) await rehash(account.id, password, password_hash);
    return account;
  };

  /** Hashes a password as the settings now want it. Whoever can't be served now is at the next log-in. */
  const rehash = async (user_id: UserId, password: string, from: string): Promise<void> => {
    try {
      await store.rehash(user_id, from, await hasher.hash(password));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  };

  return {
    async register(body, device) {
      const password_hash = await hasher.hash(body.password);
      const { session, refresh_token } = newSession(device);
      const { username, email } = body;
      const created = await store.createAccount({ id: newId(), username, email, password_hash }, session);
      if (created.ok) return signedIn(created.account, session.id, refresh_token);
      throw new Refusal('conflict', { field: created.taken, sentence: `This ${created.taken} is taken.` });
    },

    async login(credentials, device) {
      const { session, refresh_token } = newSession(device);
      // Once more, in case another log-in has just put a newer hash in the place of the one verified.
      const account = (await open(credentials, session)) ?? (await open(credentials, session));
      if (account === null) throw new Refusal('invalid_credentials'); // the password was changed meanwhile
      return signedIn(account, session.id, refresh_token);
    },

    async refresh(refresh_token) {
      const spent = refreshTokenHash(refresh_token);
      const next = newRefreshToken();
      const rotated = await store.rotateRefreshToken(spent, next.hash, refreshExpirationMs);
      if (rotated !== null) return signedIn(rotated.account, rotated.sid, next.token);
      const state = await store.refreshTokenState(spent);
      if (state?.used) {
        await store.endSession(state.user_id, state.session_id);
        ends.end(state.user_id, [state.session_id]);
      }
      throw refreshRefusal(state);
    },

    async logout(caller) {
      await store.endSession(caller.user_id, caller.sid);
      ends.end(caller.user_id, [caller.sid]);
    },

    async changePassword(caller, { current_password, new_password }) {
      const from = await store.passwordHashOf(caller.user_id);
      if (from === null) throw new Refusal('unauthenticated');
      if (!(await hasher.verify(current_password, from))) throw wrongCurrentPassword();
      const to = await hasher.hash(new_password);
      const ended = await store.changePassword({ user_id: caller.user_id, sid: caller.sid, from, to });
      if (ended === null) throw wrongCurrentPassword(); // another change came first
      ends.end(caller.user_id, ended);
    },

    async listSessions(caller) {
      const sessions = await store.liveSessions(caller.user_id, SESSIONS_LISTED_MAX);
      return sessions.map((session) => toSession(session, caller.sid));
    },

    async endSession(caller, sid) {
      if (!(await store.endSession(caller.user_id, sid))) throw new Refusal('not_found');
      ends.end(caller.user_id, [sid]);
    },

    async me(caller) {
      const account = await store.accountById(caller.user_id);
      if (account === null) throw new Refusal('unauthenticated');
      return toMe(account, statusOf);
    },

    async user(user_id) {
      const account = await store.accountById(user_id);
      if (account === null) throw new Refusal('not_found');
      return toUser(account, statusOf);
    },
  };
}

/**
 * A hash that no password fits, made at once with the parameters of all others: an unknown email is verified
 * against it. While it can't be made, log-ins of known emails fail just like those of unknown ones.
 */
function decoy(hasher: PasswordHasher): () => Promise<string> {
  let made: Promise<string> | null = null;
  const get = (): Promise<string> => {
    if (made === null) {
      const making = hasher.hash(randomBytes(32).toString('base64url'));
      made = making;
      making.catch(() => {
        made = null;
      });
    }
    return made;
  };
  get();
  return get;
}

/** A used token counts as reused whatever became of its session, so that every copy gets the same answer. */
function refreshRefusal(state: RefreshTokenState | null): Refusal {
  if (state?.used) return new Refusal('token_reused');
  if (state !== null && state.suspended_until_ms !== null) return suspended(state.suspended_until_ms);
  if (state?.session_expired && !state.session_ended) return new Refusal('token_expired');
  return new Refusal('unauthenticated', { sentence: 'This refresh token is not valid.' });
}

/** @param untilMs epoch ms, Infinity for ever */
function suspended(untilMs: number): Refusal {
  const until = Number.isFinite(untilMs) ? ` until ${new Date(untilMs).toISOString()}` : '';
  return new Refusal('forbidden', { sentence: `This account is suspended${until}.` });
}

function wrongCurrentPassword(): Refusal {
  return new Refusal('invalid_credentials', {
    field: 'current_password',
    sentence: 'The current password is wrong.',
  });
}

/** An account as others see it. */
export function toUser(account: Account, statusOf: StatusOf): User {
  return {
    id: account.id,
    username: account.username,
    avatar_url: account.avatar_url,
    status: statusOf(account.id),
    last_seen_at: account.last_seen_at?.toISOString() ?? null,
    created_at: account.created_at.toISOString(),
  };
}

/** An account as its owner sees it. */
export function toMe(account: Account, statusOf: StatusOf): Me {
  return { ...toUser(account, statusOf), email: account.email };
}

function toSession(session: SessionRecord, current: SessionId): Session {
  return {
    id: session.id,
    device: session.device,
    created_at: session.created_at.toISOString(),
    last_used_at: session.last_used_at.toISOString(),
    expires_at: session.expires_at.toISOString(),
    current: session.id === current,
  };
}
