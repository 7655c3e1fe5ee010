import { newId } from '../protocol/ids.js';
import type { NewReport } from '../rooms/moderation-port.js';
import { type Db, run } from './client.js';

/**
 * Writes or changes a report, and tells the audit log, in one statement. Of two at once the second waits for the
 * first, finds the same reason and tells nothing again. @throws StoreUnavailable
 */
export async function putReport(db: Db, report: NewReport): Promise<void> {
  await run(db`
    with reported as (
      insert into reports (id, message_id, room_id, reporter, reason, created_at)
      select ${newId()}::uuid, m.id, m.room_id, ${report.reporter}::uuid, ${report.reason}::text, clock_timestamp()
      from messages m where m.id = ${report.message_id} and m.deleted_at is null
      on conflict (message_id, reporter) do update set reason = excluded.reason
        where reports.reason <> excluded.reason
      returning message_id, room_id, reporter, reason
    )
    insert into audit_log (id, room_id, action, actor_id, target_user_id, target_message_id, details, created_at)
    select ${newId()}::uuid, r.room_id, 'message_reported', r.reporter, m.user_id, r.message_id,
      jsonb_build_object('reason', r.reason), clock_timestamp()
    from reported r join messages m on m.id = r.message_id`);
}
