import type { MessageId, UserId } from '../protocol/ids.js';
import type { AuditAction } from '../protocol/model.js';

/** Something done in a room, as it is to be written beside it. */
export interface NewAuditEntry {
  readonly action: AuditAction;
  readonly actor_id: UserId;
  readonly target_user_id?: UserId | null;
  readonly target_message_id?: MessageId | null;
  /** A JSON object; left away for an empty one. */
  readonly details?: Readonly<Record<string, unknown>>;
}
