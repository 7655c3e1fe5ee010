drop trigger user_changed on users;
drop trigger room_changed on rooms;
drop trigger member_changed on room_members;
drop trigger member_gone on room_members;
drop function note_user_change();
drop function note_room_change();
drop function note_member_change();
drop table standing_changes;
