import type { UserId } from '../protocol/ids.js';
import type { Status, StatusChange } from '../protocol/signals.js';

/** When a user was last seen. */
export interface LastSeen {
  readonly user_id: UserId;
  readonly at: Date;
}

/** What presence asks of users. Both: @throws StoreUnavailable */
export interface PresenceStore {
  /** What users chose to be shown as while they are connected, with their present names; in any order. */
  statuses(user_ids: readonly UserId[]): Promise<StatusChange[]>;
  /** Moves `last_seen_at` forward, in one statement. */
  writeLastSeen(seen: readonly LastSeen[]): Promise<void>;
}

/** Takes a user's new choice, after it is committed, to this process' front. Returns at once. */
export type StatusChosen = (user_id: UserId, status: Status) => void;
