-- Until when a user may not log in; infinity: until an operator lifts it. In the past: he may.
alter table users add column suspended_until timestamptz;

-- What operators did by the command line: written in the transaction that does it, where it changes something.
create table operator_log (
  id          bigint generated always as identity primary key,
  operator    text not null,
  command     text not null,
  -- An id, a network, or null where the command is about everything.
  target      text,
  details     jsonb not null default '{}',
  created_at  timestamptz not null default clock_timestamp()
);
