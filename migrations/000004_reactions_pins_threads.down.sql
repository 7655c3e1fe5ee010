drop index messages_mentions_idx;
create index messages_thread_root_idx on messages (thread_root) where thread_root is not null;
drop index messages_thread_idx;
drop table thread_counts;
drop table message_changes;
drop table pins;
drop table reaction_counts;
drop table reactions;
alter table messages drop column reaction_kinds, drop column pinned;
