-- The log. room_id and user_id have no foreign keys: rows come in only through a join with room_heads, rooms
-- and users are never removed while a message names them, and the checks would be paid on every insert.
create table messages (
  -- Chosen by the client or the server: one id, one message, for ever.
  id           uuid primary key,
  room_id      uuid not null,
  user_id      uuid not null,
  -- The room's message number and the rev of the latest change to this message; both without a gap per room.
  seq_no       bigint not null,
  rev          bigint not null,
  created_rev  bigint not null,
  type         text not null default 'text' check (type in ('text', 'system')),
  content      text not null,
  metadata     jsonb check (octet_length(metadata::text) <= 8192),
  mentions     uuid[],
  reply_to     uuid,
  thread_root  uuid,
  -- SHA-256 of what the client sent first: tells a repeat from a conflict, also after edits.
  body_hash    bytea not null,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  edited_at    timestamptz,
  deleted_at   timestamptz
);
create unique index messages_room_seq_key on messages (room_id, seq_no);
create unique index messages_room_rev_key on messages (room_id, rev);
create index messages_thread_root_idx on messages (thread_root) where thread_root is not null;

-- What an edited message said before. `rev` is the edit's. A deleted message keeps the rows without the text.
create table message_edits (
  message_id  uuid not null references messages (id) on delete cascade,
  rev         bigint not null,
  -- The content that the edit replaced.
  content     text not null,
  edited_at   timestamptz not null,
  primary key (message_id, rev)
);
