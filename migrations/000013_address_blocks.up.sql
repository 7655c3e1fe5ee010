-- From where nobody may come, on no node. Single addresses are networks of one.
create table address_blocks (
  network     cidr primary key,
  -- infinity: until it is lifted.
  expires_at  timestamptz not null,
  reason      text check (char_length(reason) <= 500),
  created_at  timestamptz not null default clock_timestamp()
);

-- Tells nodes, which look every moment, whether the list is another one than they have. The row's lock makes versions
-- come in the order of their commits.
create table address_blocks_version (
  only_row  boolean primary key default true check (only_row),
  version   bigint not null
);
insert into address_blocks_version (version) values (1);

create function note_address_blocks_change() returns trigger language plpgsql as $$
begin
  update address_blocks_version set version = version + 1;
  return null;
end $$;
create trigger address_blocks_changed after insert or update or delete or truncate on address_blocks
  for each statement execute function note_address_blocks_change();
