import type { MessageId } from '../protocol/ids.js';
import type { BanBody, ReportBody } from '../protocol/requests.js';
import type { ModerationService } from '../rooms/moderation-service.js';
import { list, me, ok, pageOf, roomOf, userOf } from './room-handlers.js';
import type { RouteName } from './routes.js';
import type { HttpHandler } from './types.js';

type ModerationRoute = Extract<
  RouteName,
  'ban_user' | 'unban_user' | 'list_bans' | 'list_audit' | 'report_message'
>;

/** REST over bans, reports and the audit log. Bodies and queries have passed their route's schemas. */
export function moderationHandlers(service: ModerationService): Record<ModerationRoute, HttpHandler> {
  return {
    ban_user: async (call) => {
      const { reason = null } = call.body as BanBody;
      return ok(await service.banUser(me(call), roomOf(call), userOf(call), reason));
    },
    unban_user: async (call) => {
      await service.unbanUser(me(call), roomOf(call), userOf(call));
      return ok({});
    },
    list_bans: async (call) => {
      const { after, limit } = pageOf(call);
      return list(await service.listBans(me(call), roomOf(call), after, limit));
    },
    list_audit: async (call) => {
      const { after, limit } = pageOf(call);
      return list(await service.listAudit(me(call), roomOf(call), after, limit));
    },
    report_message: async (call) => {
      const { reason } = call.body as ReportBody;
      await service.reportMessage(me(call), call.params.messageId as MessageId, reason);
      return ok({});
    },
  };
}
