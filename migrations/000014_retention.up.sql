-- For how many days messages are kept: those of a room, or (null) of all rooms without a rule of their own.
create table retention_rules (
  room_id     uuid unique nulls not distinct references rooms (id) on delete cascade,
  days        integer not null check (days between 1 and 36500),
  created_at  timestamptz not null default clock_timestamp()
);

-- Up to which number a room's messages are tombstones by now: where the next sweep goes on.
create table retention_progress (
  room_id    uuid primary key references rooms (id) on delete cascade,
  swept_seq  bigint not null
) with (fillfactor = 80);

-- When the next sweep is due. Whoever moves it on has the sweep, until then.
create table retention_sweep (
  only_row  boolean primary key default true check (only_row),
  due_at    timestamptz not null
);
insert into retention_sweep (due_at) values (now());
