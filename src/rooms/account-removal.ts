import type { SessionEnds, UserNews } from '../auth/ports.js';
import { Refusal } from '../protocol/errors.js';
import type { UserId } from '../protocol/ids.js';
import type { AccountRemovalStore } from './account-removal-port.js';
import { announceLeft } from './member-service.js';
import type { Announcer } from './ports.js';

/**
 * Deletes the caller's own account. What he wrote stays, under the name of a deleted user; he leaves his rooms, and
 * those where he was alone are deleted. A direct room stays with the other one. Name and email are free again. His
 * files go: soon afterwards the collector takes those that are attached off their messages.
 * @throws Refusal `conflict` while he is the last admin of a room with others; StoreUnavailable
 */
export type RemoveAccount = (user_id: UserId) => Promise<void>;

export function accountRemoval(ports: {
  readonly store: AccountRemovalStore;
  readonly announcer: Announcer;
  readonly ends: SessionEnds;
  readonly news: UserNews;
}): RemoveAccount {
  const { store, announcer, ends, news } = ports;
  return async (user_id) => {
    const removed = await store.removeAccount(user_id);
    if (removed === null) throw new Refusal('unauthenticated');
    if (removed === 'last_admin') {
      throw new Refusal('conflict', {
        sentence: 'You are the last admin of a room with other members: make one of them admin first.',
      });
    }
    const { username, sessions, left, deleted } = removed;
    news.userChanged(user_id);
    for (const room_id of left) announceLeft(announcer, room_id, { user_id, username });
    for (const room_id of deleted) announcer.revoke(room_id, null);
    ends.end(user_id, sessions);
  };
}
