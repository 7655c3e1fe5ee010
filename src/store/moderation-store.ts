import type { ModerationStore } from '../rooms/moderation-port.js';
import { auditPage } from './audit-log.js';
import { banPage } from './bans.js';
import type { Db } from './client.js';
import { messageTargets } from './message-log.js';
import { putReport } from './reports.js';
import { standings } from './standings.js';

/** The {@link ModerationStore} on PostgreSQL. */
export function moderationStore(db: Db): ModerationStore {
  return {
    standings: (pairs) => standings(db, pairs),
    bans: (room_id, after, limit) => banPage(db, room_id, after, limit),
    auditLog: (room_id, after, limit) => auditPage(db, room_id, after, limit),
    messageTarget: async (id) => (await messageTargets(db, [id]))[0] ?? null,
    report: (report) => putReport(db, report),
  };
}
