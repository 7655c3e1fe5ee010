import type { MessageId, RoomId, UserId } from '../protocol/ids.js';
import { type Db, run } from './client.js';
import { deleteMessages } from './message-changes.js';

/** Messages in one transaction: some milliseconds in which their rooms take no message. */
export const TOMBSTONES_BATCH = 200;

export interface Doomed {
  readonly id: MessageId;
  readonly room_id: RoomId;
  /** Its author. */
  readonly user_id: UserId;
  /** Of a deleted room, which takes no changes. */
  readonly closed: boolean;
}

/**
 * Deletes messages as their authors could, each with a rev of its own: members see it, numbers stay, and moderation
 * hears of nothing. What is deleted already stays as it is. At most {@link TOMBSTONES_BATCH}.
 * @throws StoreUnavailable
 */
export async function makeTombstones(db: Db, messages: readonly Doomed[]): Promise<void> {
  const open = messages.filter(({ closed }) => !closed);
  await deleteMessages(db, open, new Date());
  const closed = messages.filter((message) => message.closed);
  if (closed.length > 0) await blankInClosedRooms(db, closed);
}

/** Nobody sees deleted rooms, and their logs are at an end: the rows are blanked without a rev. */
async function blankInClosedRooms(db: Db, messages: readonly Doomed[]): Promise<void> {
  const ids = messages.map(({ id }) => id);
  await run(
    db.begin(async (tx) => {
      await tx`update message_edits set content = '' where message_id = any (${ids}::uuid[])`;
      await tx`
        update messages
        set content = '', metadata = null, mentions = null, updated_at = clock_timestamp(),
          deleted_at = clock_timestamp()
        where id = any (${ids}::uuid[]) and deleted_at is null`;
    }),
  );
}
