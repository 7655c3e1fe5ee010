import type { AddressBlock, EndedSession, StandingChange } from '../ipc/messages.js';
import { BLOCKS_MAX } from './address-blocks.js';
import { type Db, run } from './client.js';

const COMMIT_LAG_MS = 30_000; // an end of a session is read by its time, and may commit this long after it
const FIRST_LOOK_MS = 120_000; // of standings: what a shard that starts again may have missed
const CHANGES_MAX = 20_000; // standings in one look, some 5 MB; the next one goes on
const AUDIT_LAG_MS = 60_000; // a transaction is shorter; bounds what is read of the audit log
const PURGE_BATCH = 1_000; // rows in one statement

interface ChangesRow {
  readonly now_ms: number;
  /** The oldest transaction that was under way: what is older is all read. */
  readonly oldest: string;
  readonly ended: EndedSession[];
  readonly standings: (StandingChange & { id: string; txid: string })[];
  readonly blocks_version: string;
  readonly blocks: AddressBlock[] | null;
}

/** What was committed since a mark; some of it may have been given before. */
export interface ChangesFound {
  readonly ended: readonly EndedSession[];
  readonly standings: readonly (StandingChange & { readonly id: string })[];
  /** All blocks; null: they are those of the mark. */
  readonly blocks: readonly AddressBlock[] | null;
  readonly mark: string;
}

/**
 * The sessions that ended, the standings that changed and the blocks if they did, in one round trip. Of a standing it says whether it has
 * ended by what holds now, so that somebody who has come back isn't cut off.
 *
 * @param lookBackMs how far back the first look goes for sessions: the life of an access token
 * @throws StoreUnavailable
 */
export async function changesSince(db: Db, mark: string | null, lookBackMs: number): Promise<ChangesFound> {
  const [sinceMs = null, oldest = null, lastId = '0', version = null] = mark?.split(' ') ?? [];
  const [row] = await run(db<ChangesRow[]>`
    select extract(epoch from now())::float8 * 1000 as now_ms, pg_snapshot_xmin(pg_current_snapshot())::text as oldest,
      (
        select coalesce(json_agg(json_build_object('sid', id, 'user_id', user_id,
          'ended_ms', extract(epoch from revoked_at)::float8 * 1000) order by revoked_at), '[]')
        from sessions
        where revoked_at > coalesce(to_timestamp(${sinceMs}::float8 / 1000),
          now() - ${lookBackMs + COMMIT_LAG_MS}::float8 * interval '1 millisecond')
      ) as ended,
      (
        select coalesce(json_agg(json_build_object('id', c.id::text, 'txid', c.txid::text, 'room_id', c.room_id,
          'user_id', c.user_id, 'at_ms', extract(epoch from c.changed_at)::float8 * 1000,
          'ended', c.room_id is not null and (r.deleted_at is not null
            or (c.user_id is not null and rm.user_id is null)),
          'kind', c.kind, 'joined_at', case when u.deleted_at is null then c.joined_at end, 'username', u.username,
          'how', ${howOf(db)}) order by c.txid, c.id), '[]')
        from (${standingRows(db, oldest, lastId)}) c
        left join rooms r on r.id = c.room_id
        left join room_members rm on rm.room_id = c.room_id and rm.user_id = c.user_id
        left join users u on u.id = c.user_id and c.kind = 'gone'
      ) as standings,
      v.version::text as blocks_version,
      case when v.version is distinct from ${version}::bigint then (
        select coalesce(json_agg(json_build_object('network', abbrev(b.network::inet), 'until_ms',
          case when isfinite(b.expires_at) then extract(epoch from b.expires_at)::float8 * 1000 end)), '[]')
        from (select * from address_blocks order by created_at limit ${BLOCKS_MAX}) b
      ) end as blocks
    from (select coalesce((select version from address_blocks_version), 0) as version) v`);
  if (row === undefined) throw new Error('a select without its row');
  const { now_ms, ended, standings, blocks, blocks_version } = row;
  return {
    ended,
    standings: standings.map(({ txid: _, ...change }) => ({
      ...change,
      joined_at: change.joined_at === null ? null : new Date(change.joined_at).toISOString(),
    })),
    blocks,
    mark: `${now_ms - COMMIT_LAG_MS} ${nextPlace(row)} ${blocks_version}`,
  };
}

/** Everything before the oldest transaction under way has been read, or up to the last row where these were too many. */
function nextPlace({ oldest, standings }: ChangesRow): string {
  const last = standings.length < CHANGES_MAX ? undefined : standings.at(-1);
  if (last === undefined || BigInt(last.txid) >= BigInt(oldest)) return `${oldest} 0`;
  return `${last.txid} ${last.id}`;
}

/** How somebody came or went: the audit log says it, by a row of the same transaction. */
function howOf(db: Db) {
  return db`
    case
      when c.kind = 'added' and c.joined_at = r.created_at then 'founded'
      when c.kind in ('added', 'gone') then coalesce((
        select substr(a.action, length('member_') + 1) from audit_log a
        where a.room_id = c.room_id and a.target_user_id = c.user_id
          and a.action in ('member_added', 'member_removed', 'member_banned')
          and a.created_at > c.changed_at - ${AUDIT_LAG_MS}::float8 * interval '1 millisecond'
          and a.xmin = c.txid::xid
        limit 1
      ), case c.kind when 'added' then 'joined' else 'left' end)
    end`;
}

function standingRows(db: Db, oldest: string | null, lastId: string) {
  if (oldest === null) {
    return db`
      select * from standing_changes
      where changed_at > now() - ${FIRST_LOOK_MS}::float8 * interval '1 millisecond'
      order by txid, id limit ${CHANGES_MAX}`;
  }
  return db`
    select * from standing_changes where (txid, id) > (${oldest}::xid8, ${lastId}::bigint)
    order by txid, id limit ${CHANGES_MAX}`;
}

/**
 * Removes changes of standings from before a time, a batch at a time.
 * @returns how many it removed; call again until it is 0
 * @throws StoreUnavailable
 */
export async function purgeStandingChanges(db: Db, before: Date): Promise<number> {
  const purged = await run(db`
    delete from standing_changes where id in (
      select id from standing_changes where changed_at < ${before} limit ${PURGE_BATCH} for update skip locked
    )`);
  return purged.count;
}
