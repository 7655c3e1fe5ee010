import type { Caller } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import type { Me, User } from '../protocol/model.js';
import type { PatchMeBody } from '../protocol/requests.js';
import { toMe, toUser } from './accounts.js';
import type { ProfileStore, StatusOf, UserNews } from './ports.js';

const NAME_PART = /^[A-Za-z0-9_-]{1,50}$/; // PROTOCOL §1: no name starts with anything else

/** How users show themselves. All throw a Refusal for what the caller caused, and StoreUnavailable. */
export interface Profiles {
  /** @throws Refusal `conflict` with `field` username */
  patch(caller: Caller, patch: PatchMeBody): Promise<Me>;
  /** Users whose names start with `q`, in any case, the exact match first, at most `limit`. */
  search(q: string, limit: number): Promise<User[]>;
}

export function createProfiles(ports: {
  readonly store: ProfileStore;
  readonly news: UserNews;
  readonly statusOf: StatusOf;
}): Profiles {
  const { store, news, statusOf } = ports;
  return {
    async patch({ user_id }, patch) {
      const account = await store.patchProfile(user_id, patch);
      if (account === null) throw new Refusal('unauthenticated');
      if (account === 'taken') {
        throw new Refusal('conflict', { field: 'username', sentence: 'This username is taken.' });
      }
      if (patch.username !== undefined) {
        news.userChanged(user_id);
        news.renamed(user_id, account.username);
      }
      if (patch.status !== undefined) news.statusChosen(user_id, patch.status);
      // The answer says what was chosen, connected or not; who reads the account later sees what others see.
      return toMe(account, patch.status === undefined ? statusOf : () => account.chosen_status);
    },
    async search(q, limit) {
      if (!NAME_PART.test(q)) return [];
      return (await store.usersByPrefix(q, limit)).map((account) => toUser(account, statusOf));
    },
  };
}
