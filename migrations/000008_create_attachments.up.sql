-- A file that was uploaded to a room. Its bytes lie in storage under storage_key, which says nothing of the name.
--
--   pending ──stored and checked──► ready ──claimed by a message──► attached
--      └──────────────┬───────────────┴───────────────┬─────────────────┘
--                     └─ after 24 hours, or given up   └─ it, its message, room or uploader was deleted
--                                      ▼
--                                  deleting ──bytes removed──► no row
create table attachments (
  id             uuid primary key,
  room_id        uuid not null references rooms (id),
  user_id        uuid not null references users (id),
  message_id     uuid,
  -- The place among its message's attachments, from 0.
  position       smallint not null default 0,
  state          text not null default 'pending' check (state in ('pending', 'ready', 'attached', 'deleting')),
  storage_key    text not null unique,
  -- Of a direct upload in parts, as storage calls it.
  upload_id      text,
  -- Until when a client may bring bytes to storage by itself; null for what comes through the server.
  direct_until   timestamptz,
  file_name      text not null check (char_length(file_name) between 1 and 255),
  file_type      text not null check (char_length(file_type) <= 255),
  -- While pending: what is reserved of the uploader's quota.
  file_size      bigint not null check (file_size >= 0),
  width          integer,
  height         integer,
  has_thumbnail  boolean not null default false,
  created_at     timestamptz not null default now(),
  -- When the collector takes it; null for what is attached.
  due_at         timestamptz,
  check ((state = 'attached') = (due_at is null)),
  check (state <> 'attached' or message_id is not null)
);
create index attachments_message_id_idx on attachments (message_id) where message_id is not null;
create index attachments_user_id_idx on attachments (user_id) include (file_size) where state <> 'deleting';
create index attachments_room_id_idx on attachments (room_id) where state <> 'deleting';
create index attachments_due_at_idx on attachments (due_at) where due_at is not null;

-- Undoes the statement that inserts messages where one claims an attachment that it can't have (any more).
create function require_claims(claimed bigint, wanted bigint) returns void language plpgsql as $$
begin
  if claimed <> wanted then
    raise exception 'attachments were claimed by another message' using errcode = 'PA001';
  end if;
end $$;

-- Whoever deletes a message, a room or an account, its attachments go with it, in the same transaction.
create function attachments_go_with() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'messages' then
    update attachments set state = 'deleting', due_at = now() where message_id = new.id and state <> 'deleting';
  elsif tg_table_name = 'rooms' then
    update attachments set state = 'deleting', due_at = now() where room_id = new.id and state <> 'deleting';
  else
    update attachments set state = 'deleting', due_at = now() where user_id = new.id and state <> 'deleting';
  end if;
  return null;
end $$;
create trigger attachments_go_with after update of deleted_at on messages
  for each row when (old.deleted_at is null and new.deleted_at is not null) execute function attachments_go_with();
create trigger attachments_go_with after update of deleted_at on rooms
  for each row when (old.deleted_at is null and new.deleted_at is not null) execute function attachments_go_with();
create trigger attachments_go_with after update of deleted_at on users
  for each row when (old.deleted_at is null and new.deleted_at is not null) execute function attachments_go_with();
