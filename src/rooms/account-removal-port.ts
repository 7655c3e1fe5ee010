import type { RoomId, SessionId, UserId } from '../protocol/ids.js';

/** What the end of an account changed. */
export interface RemovedAccount {
  /** The name it had. */
  readonly username: string;
  /** The sessions that ended with it. */
  readonly sessions: readonly SessionId[];
  /** The rooms that the user has left. */
  readonly left: readonly RoomId[];
  /** The rooms that were deleted, as nobody else was in them. */
  readonly deleted: readonly RoomId[];
}

export interface AccountRemovalStore {
  /**
   * Ends an account: all of it or nothing, on any node, and whatever else happens to the user's rooms meanwhile.
   * Null: there is no such account (any more). `last_admin`: it is the last admin of a room with other members,
   * and nothing was changed. @throws StoreUnavailable
   */
  removeAccount(user_id: UserId): Promise<RemovedAccount | 'last_admin' | null>;
}
