import type { SlotClaim, SlowModeStore } from '../rooms/moderation-port.js';
import { type Db, run } from './client.js';

/** The {@link SlowModeStore} over a pool. */
export function slowModeStore(db: Db): SlowModeStore {
  return {
    claim: (claims) => claim(db, claims),
    release: (one) => releaseSlot(db, one),
  };
}

async function claim(db: Db, claims: readonly SlotClaim[]): Promise<(number | null)[]> {
  if (claims.length === 0) return [];
  const taken = await claimSlots(db, claims);
  const refused = claims.filter((_, i) => taken[i] === false);
  const waits = refused.length === 0 ? [] : await slotWaits(db, refused);
  return taken.map((granted) => {
    if (granted === false) return waits.shift() ?? 1;
    return granted ? 0 : null;
  });
}

/**
 * One conditional upsert a member, in the order of their ids, so that batches don't deadlock. Its condition is
 * checked against the newest version of a row, once whoever else holds it has committed.
 * @returns whether each was taken, null for non-members
 */
async function claimSlots(db: Db, claims: readonly SlotClaim[]): Promise<(boolean | null)[]> {
  const rows = await run(db<{ taken: boolean | null }[]>`
    with asked as (
      select a.*, r.slow_mode_s * interval '1 second' as pause
      from ${input(db, claims)}
      join room_members rm on rm.room_id = a.room_id and rm.user_id = a.user_id
      join rooms r on r.id = a.room_id
    ), taken as (
      insert into slow_mode_slots as s (room_id, user_id, message_id, taken_at)
      select room_id, user_id, message_id, clock_timestamp() from asked order by room_id, user_id
      on conflict (room_id, user_id) do update
        set message_id = excluded.message_id, taken_at = clock_timestamp()
        where s.message_id = excluded.message_id or s.taken_at <= clock_timestamp() - (
          select pause from asked a where a.room_id = s.room_id and a.user_id = s.user_id
        )
      returning room_id, user_id
    )
    select case when a.ord is not null then t.room_id is not null end as taken
    from generate_series(1, ${claims.length}::int) as n (ord)
    left join asked a on a.ord = n.ord
    left join taken t on t.room_id = a.room_id and t.user_id = a.user_id
    order by n.ord`);
  return rows.map(({ taken }) => taken);
}

/** Milliseconds until each slot is free, at least 1. A statement of its own: it sees who has just taken a slot. */
async function slotWaits(db: Db, claims: readonly SlotClaim[]): Promise<number[]> {
  const rows = await run(db<{ wait_ms: number | null }[]>`
    select ceil(1000 * extract(epoch from
      s.taken_at + r.slow_mode_s * interval '1 second' - clock_timestamp()))::float8 as wait_ms
    from ${input(db, claims)}
    left join rooms r on r.id = a.room_id
    left join slow_mode_slots s on s.room_id = a.room_id and s.user_id = a.user_id
    order by a.ord`);
  return rows.map(({ wait_ms }) => Math.max(1, wait_ms ?? 1));
}

function input(db: Db, claims: readonly SlotClaim[]) {
  return db`
    unnest(
      ${claims.map(({ room_id }) => room_id)}::uuid[],
      ${claims.map(({ user_id }) => user_id)}::uuid[],
      ${claims.map(({ message_id }) => message_id)}::uuid[]
    ) with ordinality as a (room_id, user_id, message_id, ord)`;
}

async function releaseSlot(db: Db, { room_id, user_id, message_id }: SlotClaim): Promise<void> {
  await run(db`
    delete from slow_mode_slots s
    where s.room_id = ${room_id} and s.user_id = ${user_id} and s.message_id = ${message_id}
      and not exists (select from messages m where m.id = s.message_id)`);
}
