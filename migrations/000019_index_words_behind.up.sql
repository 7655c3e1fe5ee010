-- The words of messages stand beside them and are written once the messages are committed and told: nobody waits for
-- a parser and an index of words (docs/decisions/0016). As in 000006, a room with a segment of 8,192 numbers is one
-- word more, and a message that is deleted has none.
create table message_words (
  room_id  uuid not null,
  seq_no   bigint not null,
  search   tsvector not null,
  primary key (room_id, seq_no)
);
-- Its list is merged into it by who writes words (store/search-index.ts); an edit that fills it would wait for that.
create index message_words_search_idx on message_words using gin (search) with (gin_pending_list_limit = 4096);

-- Up to which number the words of a room's messages are written. Who writes them locks the row, and so does who changes
-- a message: neither misses what the other does.
create table search_progress (
  room_id      uuid primary key references rooms (id) on delete cascade,
  indexed_seq  bigint not null default 0
) with (fillfactor = 50);

-- Most rows before the lock that a trigger takes, the rest under it.
insert into search_progress (room_id) select room_id from room_heads;

create function words_of(content text) returns tsvector language sql immutable as $$
  select to_tsvector('parley', translate(content, '<&', '  '))
$$;
create function searched_words(room_id uuid, seq_no bigint, content text, deleted_at timestamptz)
returns tsvector language sql immutable as $$
  select case when deleted_at is null
    then words_of(content) || array_to_tsvector(array[E'\x01' || room_id::text || '/' || (seq_no >> 13)::text])
    else '' end
$$;

create function follow_search_progress() returns trigger language plpgsql as $$
begin
  insert into search_progress (room_id) values (new.room_id) on conflict do nothing;
  return null;
end $$;
create trigger room_heads_search_progress after insert on room_heads
  for each row execute function follow_search_progress();
insert into search_progress (room_id)
select room_id from room_heads h where not exists (select from search_progress p where p.room_id = h.room_id);

-- Whoever writes the words of a message that has none yet reads it as it is then.
create function write_words_again() returns trigger language plpgsql as $$
declare
  reached bigint;
begin
  select indexed_seq into reached from search_progress where room_id = new.room_id for share;
  if new.seq_no <= reached then
    update message_words set search = searched_words(new.room_id, new.seq_no, new.content, new.deleted_at)
    where room_id = new.room_id and seq_no = new.seq_no;
  end if;
  return null;
end $$;
create trigger messages_words after update of content on messages for each row
  when (old.content is distinct from new.content or old.deleted_at is distinct from new.deleted_at)
  execute function write_words_again();

-- The release before goes on with the column, which has no words of new messages; the next one drops it.
drop index messages_search_idx;
alter table messages alter column search drop expression;
