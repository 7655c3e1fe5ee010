create or replace trigger room_changed after update of deleted_at, slow_mode_s, type on rooms
  for each row when (old.deleted_at is distinct from new.deleted_at or old.slow_mode_s is distinct from new.slow_mode_s
    or old.type is distinct from new.type)
  execute function note_room_change();
create or replace function note_room_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (room_id) values (new.id);
  return null;
end $$;

drop trigger member_added on room_members;
create or replace function note_member_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (room_id, user_id) values (old.room_id, old.user_id);
  return null;
end $$;

alter table standing_changes drop column joined_at, drop column kind;
