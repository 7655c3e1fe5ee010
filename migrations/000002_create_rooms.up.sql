create table rooms (
  id            uuid primary key,
  name          text check (char_length(name) between 3 and 100),
  description   text check (char_length(description) <= 2000),
  type          text not null check (type in ('public', 'private', 'direct')),
  created_by    uuid references users (id) on delete set null,
  slow_mode_s   integer not null default 0 check (slow_mode_s >= 0),
  -- Kept in the transaction that changes the membership, under the lock of this row.
  member_count  integer not null default 0 check (member_count >= 0),
  -- "<lower user id>:<higher user id>": one direct room for each pair, also when both ask at once.
  direct_key    text unique,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  deleted_at    timestamptz,
  check ((type = 'direct') = (direct_key is not null)),
  check (type = 'direct' or name is not null)
);

-- The counters of a room, apart from the rest because every message updates them: narrow rows with room for
-- the next version on the same page (HOT), and no index on what changes.
create table room_heads (
  room_id           uuid primary key references rooms (id) on delete cascade,
  head_seq          bigint not null default 0,
  head_rev          bigint not null default 0,
  -- A deleted room takes no changes any more; set under the lock of this row.
  closed            boolean not null default false,
  last_activity_at  timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

create table room_members (
  room_id        uuid not null references rooms (id) on delete cascade,
  user_id        uuid not null references users (id) on delete cascade,
  role           text not null default 'member' check (role in ('admin', 'moderator', 'member')),
  joined_at      timestamptz not null default now(),
  -- The watermark: every message up to it counts as read. Only moves forward.
  last_read_seq  bigint not null default 0,
  muted_until    timestamptz,
  primary key (room_id, user_id)
) with (fillfactor = 80);
create index room_members_user_id_idx on room_members (user_id, room_id);
