alter table messages drop column search;
drop table search_settings;
drop function set_search_language(regconfig);
drop text search configuration parley;
-- unaccent stays: it may be somebody else's.
drop index rooms_discover_words_idx;
drop index rooms_discover_size_idx;
drop index users_username_prefix_idx;
alter table users drop column status;
