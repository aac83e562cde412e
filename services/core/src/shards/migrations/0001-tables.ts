/** Tables that every shard has. Sharded rows carry `slot` and `tx_id`, by which a slot's rows are found and copied when it moves. */
export const SHARD_TABLES = `
create table slot_owner (
  slot smallint primary key check (slot between 0 and 1023),
  state text not null check (state in ('owned', 'importing', 'moved_out', 'none')),
  epoch bigint not null default 0,
  peer text,
  updated_at timestamptz not null default now()
);

create table device (
  device_key bigint primary key,
  device_id uuid not null unique,
  slot smallint not null,
  hardware_id text not null,
  name text,
  group_name text not null default 'default',
  tags jsonb not null default '{}',
  model text,
  secret_hash bytea not null,
  epoch int not null default 1,
  enrolled_at timestamptz not null default now(),
  revoked_at timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
);
create index device_group on device (group_name, device_id);
create index device_slot on device (slot);

-- The only row that every batch updates: narrow, room for the new version on the same page, and no second index, so that
-- updates stay heap-only.
create table device_state (
  device_key bigint primary key,
  slot smallint not null,
  epoch int not null,
  applied_through bigint not null default 0,
  state jsonb,
  -- The batch that the state came from; a state of an earlier batch never replaces it, in whatever order they arrive.
  state_epoch int not null default 0,
  state_seq bigint not null default 0,
  last_sync_at timestamptz,
  last_seen_at timestamptz,
  records_total bigint not null default 0,
  syncs_total bigint not null default 0,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
) with (fillfactor = 70);

-- Written only when the status changes, so an index by status costs the ingest path nothing.
create table device_status (
  device_key bigint primary key,
  device_id uuid not null,
  slot smallint not null,
  status text not null check (status in ('pending', 'on_time', 'late', 'silent', 'failing')),
  since timestamptz not null default now(),
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
);
create index device_status_by_status on device_status (status, device_id);

-- Not partitioned: a batch must stay unique over all days.
create table receipt (
  device_key bigint not null,
  epoch int not null,
  batch_seq bigint not null,
  slot smallint not null,
  content_hash bytea not null,
  outcome text not null check (outcome in ('applied', 'rejected')),
  record_count int not null,
  bad_count int not null,
  mode text not null,
  reason text,
  received_day date not null,
  received_at timestamptz not null,
  applied_at timestamptz not null default now(),
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  primary key (device_key, epoch, batch_seq)
);

-- No default partition: a row without a partition must fail, not hide where retention never looks.
create table record (
  device_key bigint not null,
  slot smallint not null,
  epoch int not null,
  batch_seq bigint not null,
  seq bigint not null,
  kind text not null,
  device_time timestamptz,
  data jsonb,
  received_day date not null,
  received_at timestamptz not null,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
) partition by range (received_day);
create index record_by_device on record (device_key, epoch, seq);
create index record_by_arrival on record using brin (received_at);

-- device_key, slot, epoch and batch_seq are null for what could not even be read; such rows stay in shard 0.
create table quarantine (
  id bigint generated always as identity primary key,
  device_key bigint,
  slot smallint,
  epoch int,
  batch_seq bigint,
  kind text not null check (kind in ('record', 'batch', 'conflict')),
  reason text not null,
  detail jsonb not null default '{}',
  payload bytea,
  created_at timestamptz not null default now(),
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
);
create index quarantine_by_batch on quarantine (device_key, epoch, batch_seq);

create table device_command (
  command_id uuid primary key,
  device_key bigint not null,
  slot smallint not null,
  request_id uuid not null,
  type text not null,
  params jsonb not null default '{}',
  priority text not null check (priority in ('high', 'normal')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  delivered_at timestamptz,
  done_at timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint)
);
-- Unique, because requests of one type for one device become one command.
create unique index device_command_open on device_command (device_key, type) where done_at is null;
-- For a device's page, which also shows what is done.
create index device_command_by_device on device_command (device_key);

-- At most one row: which keeper acts here. It writes only in a transaction that finds the term that it has begun.
create table keeper_term (
  one boolean primary key default true check (one),
  term bigint not null,
  holder text not null,
  since timestamptz not null default now()
);
`;

/** The control schema, which shard 0 alone has. */
export const CONTROL_TABLES = `
create schema control;

create table control.slot_map (
  slot smallint primary key check (slot between 0 and 1023),
  shard smallint not null,
  epoch bigint not null default 0
);

-- Each value is a block of 1000 device keys.
create sequence control.device_key_block;

create table control.enrolment_token (
  token_hash bytea primary key,
  group_name text not null default 'default',
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table control.api_token (
  token_hash bytea primary key,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'admin', 'auditor')),
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
`;
