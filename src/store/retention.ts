import { setTimeout as sleep } from 'node:timers/promises';
import type { RoomId } from '../protocol/ids.js';
import { type Db, run } from './client.js';
import { noteOperator } from './operator-log.js';
import { type Doomed, makeTombstones, TOMBSTONES_BATCH } from './tombstones.js';

/**
 * Retention: messages older than a number of days become tombstones, room by room and from the oldest on. One node at
 * a time has the sweep; where two come to have it, or one goes on after a crash, nothing is deleted twice.
 *
 *   due ──claimed by a node──► leased ──renewed with every batch──► leased ──all rooms done──► due in an hour
 *    ▲                           │ the node dies: the lease ends
 *    └───────────────────────────┴─ a rule is set: due at once
 */
const LEASE_MS = 60_000; // a batch takes milliseconds; beyond it the node is gone
const SWEEP_EVERY_MS = 3_600_000; // against days
const ROOMS_PAGE = 500; // looked at in one statement
const PAUSE_MS = 50; // between batches: messages go before the tidying up

export interface RetentionRule {
  /** Null: all rooms without a rule of their own. */
  readonly room_id: RoomId | null;
  readonly days: number;
  readonly created_at: Date;
}

/** Sets how long messages are kept, of a room or (null) of all without a rule of their own. @throws StoreUnavailable */
export async function setRetention(db: Db, room_id: RoomId | null, days: number): Promise<void> {
  await run(
    db.begin(async (tx) => {
      await tx`
        insert into retention_rules (room_id, days) values (${room_id}, ${days})
        on conflict (room_id) do update set days = excluded.days, created_at = clock_timestamp()`;
      await tx`update retention_sweep set due_at = now()`;
      await noteOperator(tx, { command: 'retain', target: room_id, details: { days } });
    }),
  );
}

/** Takes a rule back; false where there is none. What was deleted stays so. @throws StoreUnavailable */
export function forgetRetention(db: Db, room_id: RoomId | null): Promise<boolean> {
  return run(
    db.begin(async (tx) => {
      const gone = await tx`delete from retention_rules where room_id is not distinct from ${room_id}::uuid`;
      if (gone.count === 0) return false;
      await noteOperator(tx, { command: 'forget', target: room_id });
      return true;
    }),
  );
}

/** @throws StoreUnavailable */
export async function retentionRules(db: Db): Promise<RetentionRule[]> {
  return [
    ...(await run(db<RetentionRule[]>`
      select room_id, days, created_at from retention_rules order by room_id nulls first`)),
  ];
}

/**
 * Sweeps all rooms, if a sweep is due and nobody else has it.
 * @param stopped asked before every step
 * @returns how many messages it made tombstones
 * @throws StoreUnavailable; another call goes on from there once the lease has ended
 */
export async function sweepRetention(db: Db, stopped: () => boolean): Promise<number> {
  let lease = await takeSweep(db);
  let swept = 0;
  for (let after: RoomId | null = null; lease !== null && !stopped(); ) {
    const page: RoomToSweep[] = await roomsToSweep(db, after);
    for (const room of page.filter(({ due }) => due)) {
      for (let more = true; more && lease !== null && !stopped(); ) {
        const { count, isFull } = await sweepRoom(db, room);
        swept += count;
        more = isFull;
        lease = await moveSweep(db, lease, LEASE_MS);
        await sleep(PAUSE_MS);
      }
    }
    if (page.length < ROOMS_PAGE) {
      if (lease !== null && !stopped()) await moveSweep(db, lease, SWEEP_EVERY_MS);
      break;
    }
    after = page.at(-1)?.room_id ?? null;
    if (lease !== null) lease = await moveSweep(db, lease, LEASE_MS);
  }
  return swept;
}

/** Takes the sweep for a while, if it is due: until when, as PostgreSQL writes it. */
async function takeSweep(db: Db): Promise<string | null> {
  const [row] = await run(db<{ until: string }[]>`
    update retention_sweep set due_at = clock_timestamp() + ${LEASE_MS}::float8 * interval '1 millisecond'
    where due_at <= clock_timestamp() and exists (select from retention_rules)
    returning due_at::text as until`);
  return row?.until ?? null;
}

/** Moves the sweep on, if it is still the caller's. As text, since the driver's times have milliseconds only. */
async function moveSweep(db: Db, lease: string, byMs: number): Promise<string | null> {
  const [row] = await run(db<{ until: string }[]>`
    update retention_sweep set due_at = clock_timestamp() + ${byMs}::float8 * interval '1 millisecond'
    where due_at = ${lease}::text::timestamptz
    returning due_at::text as until`);
  return row?.until ?? null;
}

interface RoomToSweep {
  readonly room_id: RoomId;
  readonly days: number;
  readonly closed: boolean;
  /** Its oldest message that isn't swept yet is too old. */
  readonly due: boolean;
}

async function roomsToSweep(db: Db, after: RoomId | null): Promise<RoomToSweep[]> {
  return [
    ...(await run(db<RoomToSweep[]>`
      select h.room_id, h.closed, h.days,
        coalesce(oldest.created_at < now() - h.days * interval '1 day', false) as due
      from (
        select r.room_id, r.closed, coalesce(own.days, others.days) as days
        from room_heads r
        left join retention_rules own on own.room_id = r.room_id
        left join retention_rules others on others.room_id is null
        where (${after}::uuid is null or r.room_id > ${after}::uuid) and coalesce(own.days, others.days) is not null
        order by r.room_id limit ${ROOMS_PAGE}
      ) h
      left join retention_progress p on p.room_id = h.room_id
      left join lateral (
        select m.created_at from messages m
        where m.room_id = h.room_id and m.seq_no > coalesce(p.swept_seq, 0)
        order by m.seq_no limit 1
      ) oldest on true
      order by h.room_id`)),
  ];
}

interface OldMessage extends Omit<Doomed, 'closed'> {
  readonly seq_no: number;
  readonly deleted: boolean;
  readonly expired: boolean;
}

/** Takes the next messages of a room, up to the first that is to be kept. */
async function sweepRoom(
  db: Db,
  { room_id, days, closed }: RoomToSweep,
): Promise<{ readonly count: number; readonly isFull: boolean }> {
  const rows = await run(db<OldMessage[]>`
    select m.id, m.room_id, m.user_id, m.seq_no, m.deleted_at is not null as deleted,
      m.created_at < now() - ${days}::integer * interval '1 day' as expired
    from messages m
    where m.room_id = ${room_id}
      and m.seq_no > coalesce((select swept_seq from retention_progress where room_id = ${room_id}), 0)
    order by m.seq_no limit ${TOMBSTONES_BATCH}`);
  const kept = rows.findIndex(({ expired }) => !expired);
  const old = kept === -1 ? [...rows] : rows.slice(0, kept);
  const last = old.at(-1);
  if (last === undefined) return { count: 0, isFull: false };
  const doomed = old.filter(({ deleted }) => !deleted).map((message) => ({ ...message, closed }));
  await makeTombstones(db, doomed);
  await run(db`
    insert into retention_progress (room_id, swept_seq) values (${room_id}, ${last.seq_no})
    on conflict (room_id) do update
    set swept_seq = greatest(retention_progress.swept_seq, excluded.swept_seq)`);
  return { count: doomed.length, isFull: old.length === TOMBSTONES_BATCH };
}
