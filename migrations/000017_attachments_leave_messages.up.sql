-- That a file leaves its message is a change of the message, with a rev of its own, which has to be told again like
-- any other. The rows that are there pass both checks.
alter table message_changes
  drop constraint message_changes_kind_check,
  drop constraint message_changes_check,
  add constraint message_changes_kind_check check (kind in
    ('reaction_added', 'reaction_removed', 'message_pinned', 'message_unpinned', 'message_updated')) not valid,
  add constraint message_changes_check check
    ((emoji is null) = (kind not in ('reaction_added', 'reaction_removed'))) not valid;

-- An attached file may be due: it is to leave its message first, and only then is it deleting.
alter table attachments
  drop constraint attachments_check,
  add constraint attachments_check check (state = 'attached' or due_at is not null) not valid;

-- With an account go its uploads at once, but what messages show when the messages are changed: that takes their
-- rooms' locks, and so is the collector's. The release before took them away without telling.
create or replace function attachments_go_with() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'messages' then
    update attachments set state = 'deleting', due_at = now() where message_id = new.id and state <> 'deleting';
  elsif tg_table_name = 'rooms' then
    update attachments set state = 'deleting', due_at = now() where room_id = new.id and state <> 'deleting';
  else
    update attachments set state = case state when 'attached' then state else 'deleting' end, due_at = now()
    where user_id = new.id and state <> 'deleting';
  end if;
  return null;
end $$;
