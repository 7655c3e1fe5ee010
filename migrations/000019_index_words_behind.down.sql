drop trigger messages_words on messages;
drop trigger room_heads_search_progress on room_heads;
drop function write_words_again();
drop function follow_search_progress();
drop table search_progress;
drop table message_words;
drop function searched_words(uuid, bigint, text, timestamptz);
drop function words_of(text);
alter table messages drop column search, add column search tsvector generated always as (
  to_tsvector('parley', translate(content, '<&', '  '))
    || array_to_tsvector(array[E'\x01' || room_id::text || '/' || (seq_no >> 13)::text])
) stored;
create index messages_search_idx on messages using gin (search) with (gin_pending_list_limit = 4096);
