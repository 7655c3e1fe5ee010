create or replace function attachments_go_with() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'messages' then
    update attachments set state = 'deleting', due_at = now() where message_id = new.id and state <> 'deleting';
  elsif tg_table_name = 'rooms' then
    update attachments set state = 'deleting', due_at = now() where room_id = new.id and state <> 'deleting';
  else
    update attachments set state = 'deleting', due_at = now() where user_id = new.id and state <> 'deleting';
  end if;
  return null;
end $$;

update attachments set state = 'deleting' where state = 'attached' and due_at is not null;
alter table attachments
  drop constraint attachments_check,
  add constraint attachments_check check ((state = 'attached') = (due_at is null)) not valid;

-- Who resumes from before such a change is given the message all the same; a gap there ends in a sync.
delete from message_changes where kind = 'message_updated';
alter table message_changes
  drop constraint message_changes_kind_check,
  drop constraint message_changes_check,
  add constraint message_changes_kind_check check
    (kind in ('reaction_added', 'reaction_removed', 'message_pinned', 'message_unpinned')) not valid,
  add constraint message_changes_check check
    ((emoji is null) = (kind in ('message_pinned', 'message_unpinned'))) not valid;
