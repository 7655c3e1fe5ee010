drop table room_members;
drop table room_heads;
drop table rooms;
