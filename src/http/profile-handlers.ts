import type { Profiles } from '../auth/profiles.js';
import type { PatchMeBody } from '../protocol/requests.js';
import type { RemoveAccount } from '../rooms/account-removal.js';
import { PAGE_LIMIT_DEFAULT } from './routes.js';
import { callerOf, type HttpHandler } from './types.js';

/** REST over users as they show themselves. Bodies and queries have passed their route's schemas. */
export function profileHandlers(
  profiles: Profiles,
  removeAccount: RemoveAccount,
): Record<'patch_me' | 'delete_me' | 'search_users', HttpHandler> {
  return {
    patch_me: async (call) => ({
      status: 200,
      data: await profiles.patch(callerOf(call), call.body as PatchMeBody),
    }),
    delete_me: async (call) => {
      await removeAccount(callerOf(call).user_id);
      return { status: 200, data: {} };
    },
    /** The list is never cut into pages: who looks for somebody types on. */
    search_users: async (call) => {
      callerOf(call);
      const { q, limit = PAGE_LIMIT_DEFAULT } = call.query as { q: string; limit?: number };
      const users = await profiles.search(q, limit);
      return { status: 200, data: users, page: { has_more: false, next: null } };
    },
  };
}
