drop table message_edits;
drop table messages;
