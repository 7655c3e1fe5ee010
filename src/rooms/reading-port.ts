import type { RoomId, UserId } from '../protocol/ids.js';
import type { Role, RoomType } from '../protocol/model.js';

/** How a room stands for one user, from one snapshot. */
export interface JoinState {
  readonly room_id: RoomId;
  readonly room_type: RoomType;
  /** null: not a member. */
  readonly role: Role | null;
  /** When the membership began, epoch ms by the database's clock; 0 for who isn't a member. */
  readonly joined_ms: number;
  /** 0 for who isn't a member. */
  readonly last_read_seq: number;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly member_count: number;
}

export interface JoinReader {
  /** In the order of what is asked; null where a room doesn't exist. @throws StoreUnavailable */
  joinStates(asked: readonly { user_id: UserId; room_id: RoomId }[]): Promise<(JoinState | null)[]>;
}
