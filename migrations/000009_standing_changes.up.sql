-- What changed in who may do what, for the caches and subscriptions of all nodes, which look here every moment. Written
-- by triggers, so that no way of changing a standing can forget it. Rows are purged after an hour.
create table standing_changes (
  id          bigint generated always as identity primary key,
  -- The transaction that wrote it: a reader goes on from the oldest one that was still under way.
  txid        xid8 not null default pg_current_xact_id(),
  -- Null: the user's account, everywhere.
  room_id     uuid,
  -- Null: everybody in the room.
  user_id     uuid,
  changed_at  timestamptz not null default clock_timestamp()
);
create index standing_changes_txid_idx on standing_changes (txid, id);
create index standing_changes_changed_idx on standing_changes (changed_at);

create function note_member_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (room_id, user_id) values (old.room_id, old.user_id);
  return null;
end $$;
create trigger member_gone after delete on room_members
  for each row execute function note_member_change();
create trigger member_changed after update of role, muted_until on room_members
  for each row when (old.role is distinct from new.role or old.muted_until is distinct from new.muted_until)
  execute function note_member_change();

create function note_room_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (room_id) values (new.id);
  return null;
end $$;
create trigger room_changed after update of deleted_at, slow_mode_s, type on rooms
  for each row when (old.deleted_at is distinct from new.deleted_at or old.slow_mode_s is distinct from new.slow_mode_s
    or old.type is distinct from new.type)
  execute function note_room_change();

create function note_user_change() returns trigger language plpgsql as $$
begin
  insert into standing_changes (user_id) values (new.id);
  return null;
end $$;
create trigger user_changed after update of username, deleted_at on users
  for each row when (old.username is distinct from new.username or old.deleted_at is distinct from new.deleted_at)
  execute function note_user_change();
