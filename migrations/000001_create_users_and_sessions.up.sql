-- Accounts. A username is ASCII and an email is compared without regard to case: both unique indexes fold it.
create table users (
  id             uuid primary key,
  username       text not null check (username ~ '^[A-Za-z0-9_-]{3,50}$'),
  email          text not null check (char_length(email) <= 255),
  password_hash  text not null,
  avatar_url     text check (char_length(avatar_url) <= 500),
  last_seen_at   timestamptz,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  deleted_at     timestamptz
);
create unique index users_username_key on users (lower(username));
create unique index users_email_key on users (lower(email));

-- A session is one login on one device; its refresh tokens form a family. An access token is good while its
-- session is: revoked_at is null and expires_at lies ahead.
create table sessions (
  id            uuid primary key,
  user_id       uuid not null references users (id) on delete cascade,
  device        text check (char_length(device) <= 200),
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz not null default now(),
  expires_at    timestamptz not null,
  revoked_at    timestamptz
);
create index sessions_user_id_idx on sessions (user_id) where revoked_at is null;
create index sessions_revoked_at_idx on sessions (revoked_at) where revoked_at is not null;

-- Every refresh token ever given, by SHA-256: one that comes back after its use was stolen or copied.
create table refresh_tokens (
  token_hash  bytea primary key,
  session_id  uuid not null references sessions (id) on delete cascade,
  created_at  timestamptz not null default now(),
  used_at     timestamptz
);
create index refresh_tokens_session_id_idx on refresh_tokens (session_id);
