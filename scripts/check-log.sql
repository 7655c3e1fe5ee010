-- Checks the log of every room, for a restored backup or an uneasy moment: psql "$DATABASE_URL" -f scripts/check-log.sql
-- One row for each fault; no rows: all is well. It reads every message once and takes no locks beyond reading.
with counted as (
  select room_id, count(*) as messages, min(seq_no) as first_seq, max(seq_no) as last_seq, max(rev) as last_rev
    from messages
   group by room_id
)
select h.room_id, 'messages are missing: ' || coalesce(c.messages, 0) || ' of ' || h.head_seq as fault
  from room_heads h
  left join counted c using (room_id)
 where coalesce(c.messages, 0) <> h.head_seq or coalesce(c.last_seq, 0) <> h.head_seq
union all
select h.room_id, 'changes beyond the head: ' || c.last_rev || ' after ' || h.head_rev
  from room_heads h
  join counted c using (room_id)
 where c.last_rev > h.head_rev or c.first_seq <> 1
union all
select c.room_id, 'messages of a room without a head'
  from counted c
  left join room_heads h using (room_id)
 where h.room_id is null
union all
select r.id, 'a room without a head'
  from rooms r
  left join room_heads h on h.room_id = r.id
 where h.room_id is null;
