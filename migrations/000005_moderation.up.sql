-- Who may not come back to a room. Written and asked for under the lock of the room's row, as memberships are.
create table bans (
  room_id     uuid not null references rooms (id) on delete cascade,
  user_id     uuid not null references users (id) on delete cascade,
  reason      text check (char_length(reason) <= 500),
  banned_by   uuid references users (id) on delete set null,
  created_at  timestamptz not null,
  primary key (room_id, user_id)
);
create index bans_room_created_idx on bans (room_id, created_at, user_id);

-- What is left of the mute of somebody who went: it waits for him, so that leaving and joining doesn't end it.
create table kept_mutes (
  room_id      uuid not null,
  user_id      uuid not null,
  muted_until  timestamptz not null,
  primary key (room_id, user_id)
);

-- The latest message of each member in a room with slow mode. Apart from room_members, so that leaving and
-- joining doesn't end the wait, and rooms without slow mode pay nothing.
create table slow_mode_slots (
  room_id     uuid not null,
  user_id     uuid not null,
  -- The message that took the slot: asked for again with the same one, it is granted again.
  message_id  uuid not null,
  taken_at    timestamptz not null,
  primary key (room_id, user_id)
) with (fillfactor = 80);

-- One for each message and reporter. Neither this table nor the next has foreign keys: rooms, users and messages
-- are never removed, and the checks would lock rows of rooms in another order than everybody else.
create table reports (
  id          uuid primary key,
  message_id  uuid not null,
  room_id     uuid not null,
  reporter    uuid not null,
  reason      text not null check (char_length(reason) <= 500),
  created_at  timestamptz not null,
  unique (message_id, reporter)
);

-- What moderators and admins did, and what was reported to them: written in the transaction that does it.
create table audit_log (
  id                 uuid primary key,
  room_id            uuid not null,
  action             text not null,
  actor_id           uuid not null,
  target_user_id     uuid,
  target_message_id  uuid,
  details            jsonb,
  created_at         timestamptz not null
);
create index audit_log_room_created_idx on audit_log (room_id, created_at, id);
