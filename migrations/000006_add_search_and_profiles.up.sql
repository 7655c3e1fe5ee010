-- What a user chose to be seen as while connected; `offline` hides.
alter table users add column status text not null default 'online'
  check (status in ('online', 'away', 'offline'));

-- Search of users by the beginning of their name, in the order of bytes: an exact match comes first.
create index users_username_prefix_idx on users (lower(username) text_pattern_ops) where deleted_at is null;

-- Discovery: the largest public rooms first, or those whose words start with what was typed. What glues words
-- together becomes a blank, or `node.js` would be one word, a host.
create index rooms_discover_size_idx on rooms (member_count desc, id)
  where type = 'public' and deleted_at is null;
create index rooms_discover_words_idx on rooms
  using gin (to_tsvector('simple', translate(name || ' ' || coalesce(description, ''), '.-_/@:+&<', '         ')))
  where type = 'public' and deleted_at is null;

-- Accents don't count where the extension can be had.
do $$
begin
  create extension if not exists unaccent;
exception when others then
  raise notice 'search without unaccent: %', sqlerrm;
end
$$;

-- Messages are searched with a configuration of our own, so that another language is put into it and not into
-- the column: see set_search_language.
create text search configuration parley (copy = simple);

-- Makes `parley` work like another configuration, with accents removed first. Whoever changes it has to build
-- messages.search anew.
create function set_search_language(language regconfig) returns void language plpgsql as $$
declare
  kind record;
  unaccented constant boolean := exists (
    select from pg_ts_dict where dictname = 'unaccent' and pg_ts_dict_is_visible(oid));
begin
  for kind in select alias from ts_token_type('default') loop
    execute format('alter text search configuration parley drop mapping if exists for %I', kind.alias);
  end loop;
  for kind in
    select t.alias, string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno) as dictionaries
    from pg_ts_config_map m join ts_token_type('default') t on t.tokid = m.maptokentype
    where m.mapcfg = language
    group by t.alias
  loop
    execute format('alter text search configuration parley add mapping for %I with %s', kind.alias,
      case when unaccented and kind.alias ~ 'word' and kind.alias !~ 'ascii' then 'unaccent, ' else '' end || kind.dictionaries);
  end loop;
end
$$;
select set_search_language('simple');

-- The language that messages.search was built with: one row.
create table search_settings (
  only_row  boolean primary key default true check (only_row),
  language  text not null
);
insert into search_settings (language) values ('simple');

-- The words of a message, and as one more its room with a segment of 8,192 numbers, so that one index answers "these
-- words in this part of this room": a search goes from segment to segment and stops when its page is full. No word
-- begins with U+0001. `<` and `&` are blanks: the parser would take `a <b and c> d` for a tag and drop it.
alter table messages add column search tsvector generated always as (
  to_tsvector('parley', translate(content, '<&', '  '))
    || array_to_tsvector(array[E'\x01' || room_id::text || '/' || (seq_no >> 13)::text])
) stored;
-- A search reads the whole pending list: it is kept short.
create index messages_search_idx on messages using gin (search) with (gin_pending_list_limit = 512);
