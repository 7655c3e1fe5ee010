drop trigger attachments_go_with on users;
drop trigger attachments_go_with on rooms;
drop trigger attachments_go_with on messages;
drop function attachments_go_with();
drop function require_claims(bigint, bigint);
drop table attachments;
