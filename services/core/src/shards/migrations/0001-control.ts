/** People read it in a line and go by it: short, and of nothing that is not seen. */
const IS_NAME = `
    char_length(name) between 1 and 64 and name = btrim(name)
    and name !~ '[\\u0001-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]'
  `;
/** That of the Secret is called so. */
const IS_TOKEN_NAME = `${IS_NAME}and lower(normalize(name, nfkc)) <> 'bootstrap'
  `;

/** The control schema, which shard 0 alone has. */
export const CONTROL_TABLES = `
create schema control;

create table control.slot_map (
  slot smallint primary key check (slot between 0 and 1023),
  shard smallint not null,
  epoch bigint not null default 0
);

-- Each value is a block of 1000 numbers of devices. A region that is begun anew, whose old batches may still wait in the broker, begins beyond
-- what it gave before: there are as many blocks as ten minutes in 81 years.
do $$ begin
  execute format('create sequence control.device_key_block start with %s', (extract(epoch from now() - timestamptz '2026-01-01') / 600)::bigint);
end $$;

-- Devices name their group by its number, so a new name changes this row alone. One that is deleted stays for a while: tokens that were revoked, and the audit, name it.
create table control.device_group (
  group_id int generated always as identity primary key,
  name text not null check (${IS_NAME}),
  -- Of a dynamic group: it is of devices that this finds, and none is in it. Static groups are in it by number. Null: it is static.
  filter text check (char_length(filter) between 1 and 6000),
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  -- As that of an enrolment token.
  call_hash bytea unique,
  -- Grows with each change.
  revision int not null default 1
);
create unique index device_group_by_name on control.device_group (name) where deleted_at is null;
insert into control.device_group (name) values ('default');

create table control.enrolment_token (
  token_hash bytea primary key,
  -- By which people name it. It grows with time, so lists go by it.
  token_id uuid not null unique,
  -- Of the call that made it, where that had an Idempotency-Key.
  call_hash bytea unique,
  -- The API token that it descends from, of those that were made with the one of the Secret. Null: it was made with that itself.
  root_id uuid,
  group_id int not null default 1 references control.device_group,
  name text not null check (${IS_TOKEN_NAME}),
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  max_devices int,
  -- How many devices it has let in.
  used int not null default 0,
  constraint has_room check (used <= max_devices)
);

-- Who has a place of a token: however often a device enrols, it takes one.
create table control.enrolment_place (
  token_hash bytea not null references control.enrolment_token on delete cascade,
  device_id uuid not null,
  primary key (token_hash, device_id)
);

create table control.api_token (
  token_hash bytea primary key,
  -- These three as those of an enrolment token.
  token_id uuid not null unique,
  call_hash bytea unique,
  root_id uuid,
  name text not null check (${IS_TOKEN_NAME}),
  role text not null check (role in ('viewer', 'operator', 'admin', 'auditor')),
  -- Its scope. Null: all groups, also those that are made later.
  group_ids int[] check (cardinality(group_ids) > 0),
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

-- Of browsers. Who it is and what he may do is what its API token says at each call; that of the Secret has no row to refer to.
create table control.session (
  session_hash bytea primary key,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index session_by_token on control.session (token_hash, created_at);
create index session_by_end on control.session (expires_at);

-- What people did, in one order. Each row is signed together with the one before it.
create table control.audit (
  seq bigint primary key check (seq > 0),
  -- These two say which entry it was of its shard.
  counter bigint not null,
  at timestamptz not null,
  entry_id uuid not null unique,
  actor_token uuid,
  shard smallint not null,
  actor text not null,
  role text not null,
  action text not null,
  object_kind text not null,
  object_id text not null,
  request_id text,
  address text,
  group_ids int[],
  before jsonb,
  after jsonb,
  mac bytea not null
);
create index audit_by_time on control.audit (at, entry_id);
create index audit_by_actor on control.audit (actor, at, entry_id);
create index audit_by_action on control.audit (action, at, entry_id);
create index audit_by_object on control.audit (object_id, at, entry_id);

-- One row: where the chain ends.
create table control.audit_head (
  one boolean primary key default true check (one),
  seq bigint not null,
  mac bytea not null
);
insert into control.audit_head (seq, mac) values (0, decode(repeat('00', 32), 'hex'));

-- Messages of which nobody can say whose they are, and batches that no shard takes in any form.
create table control.unreadable_message (
  sha256 bytea primary key,
  created_at timestamptz not null default now(),
  reason text not null,
  detail jsonb not null default '{}',
  payload bytea not null
);
`;
