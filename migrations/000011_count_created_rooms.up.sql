-- How many rooms somebody has made is counted before he makes another one.
create index rooms_created_by_idx on rooms (created_by) where deleted_at is null and type <> 'direct';
