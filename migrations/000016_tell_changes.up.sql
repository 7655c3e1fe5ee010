-- Which kind of change a row tells of, so that every node can tell its sockets of it also where no signal came: `gone`
-- and `added` (a membership, named by when it began), `changed` (a role or mute), `room`. Null: an account, or a row
-- from before. The release before reads the rows as it always has.
alter table standing_changes
  add column kind text check (kind in ('gone', 'added', 'changed', 'room')),
  add column joined_at timestamptz;

create or replace function note_member_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into standing_changes (room_id, user_id, kind, joined_at)
    values (new.room_id, new.user_id, 'added', new.joined_at);
  else
    insert into standing_changes (room_id, user_id, kind, joined_at)
    values (old.room_id, old.user_id, case tg_op when 'DELETE' then 'gone' else 'changed' end, old.joined_at);
  end if;
  return null;
end $$;
create trigger member_added after insert on room_members
  for each row execute function note_member_change();

create or replace function note_room_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (room_id, kind) values (new.id, 'room');
  return null;
end $$;
create or replace trigger room_changed after update of deleted_at, slow_mode_s, type, name, description on rooms
  for each row when (old.deleted_at is distinct from new.deleted_at or old.slow_mode_s is distinct from new.slow_mode_s
    or old.type is distinct from new.type or old.name is distinct from new.name
    or old.description is distinct from new.description)
  execute function note_room_change();
