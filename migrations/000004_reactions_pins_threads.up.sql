-- What a message without reactions or pin is spared: the looking up of them.
alter table messages
  add column pinned boolean not null default false,
  -- How many different emoji the message has: the rows of reaction_counts.
  add column reaction_kinds smallint not null default 0;

-- Who reacted with what. Like messages without foreign keys: rows come in only through a join with messages.
create table reactions (
  message_id  uuid not null,
  user_id     uuid not null,
  emoji       text collate "C" not null,
  rev         bigint not null,
  created_at  timestamptz not null,
  primary key (message_id, user_id, emoji)
);
-- The newest of each emoji, without reading the others.
create index reactions_newest_idx on reactions (message_id, emoji, rev desc) include (user_id);

-- The number of reactions, exact because every writer holds the lock of the room's head.
create table reaction_counts (
  message_id  uuid not null,
  emoji       text collate "C" not null,
  count       integer not null check (count > 0),
  -- When the emoji came to the message: their order.
  first_rev   bigint not null,
  primary key (message_id, emoji)
) with (fillfactor = 80);

create table pins (
  message_id  uuid primary key,
  room_id     uuid not null,
  pinned_by   uuid not null,
  pinned_at   timestamptz not null,
  -- The change that pinned it: the order of pins, also within one millisecond.
  rev         bigint not null
);
create index pins_room_idx on pins (room_id, rev desc);

-- The changes of the log that leave no trace in messages or message_edits: with it every rev can be told again.
create table message_changes (
  room_id     uuid not null,
  rev         bigint not null,
  message_id  uuid not null,
  kind        text not null
    check (kind in ('reaction_added', 'reaction_removed', 'message_pinned', 'message_unpinned')),
  user_id     uuid not null,
  -- Of reactions: which, and how many the message had of it after the change.
  emoji       text collate "C",
  count       integer,
  primary key (room_id, rev),
  check ((emoji is null) = (kind in ('message_pinned', 'message_unpinned'))),
  check ((emoji is null) = (count is null))
);

-- How many messages that aren't deleted stand under a message.
create table thread_counts (
  root_id  uuid primary key,
  count    integer not null check (count >= 0)
) with (fillfactor = 80);
insert into thread_counts (root_id, count)
select thread_root, count(*) from messages
where thread_root is not null and deleted_at is null group by thread_root;

create index messages_thread_idx on messages (thread_root, seq_no) where thread_root is not null;
drop index messages_thread_root_idx;
create index messages_mentions_idx on messages (room_id, seq_no) where mentions is not null;
