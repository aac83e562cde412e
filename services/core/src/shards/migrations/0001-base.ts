/**
 * Tables that every shard has. The slot of a device is in its key (`slot * 2^32 + n`, see slot.ts), so a slot is a range of keys. `tx_id` is that of the last
 * transaction that wrote the row; what is never updated keeps it for ever, and is found by it through an index that costs next to nothing (BRIN). Columns are in
 * the order of their alignment, because padding is written as well.
 */
export const SHARD_TABLES = `
create extension if not exists pg_trgm schema public;

create table slot_owner (
  slot smallint primary key check (slot between 0 and 1023),
  state text not null check (state in ('owned', 'importing', 'moved_out', 'none')),
  epoch bigint not null default 0,
  peer text,
  updated_at timestamptz not null default now()
);

create table device (
  device_key bigint primary key check (device_key >> 32 between 0 and 1023),
  device_id uuid not null unique,
  enrolled_at timestamptz not null default now(),
  revoked_at timestamptz,
  -- Taken out of service for good. It is revoked as well.
  decommissioned_at timestamptz,
  re_enrolled_at timestamptz,
  -- Each enrolment with a new secret adds an hour, counted from now at least; more than some hours ahead there is none.
  re_enrolments_paid_at timestamptz,
  -- So long people are told that more than one machine seems to have its hardware id.
  disputed_until timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null default 1,
  -- Grows with whatever people may change: name, group, tags, revocation.
  revision int not null default 1,
  re_enrolments int not null default 0,
  -- Sorted by their bytes, as every process sorts them.
  hardware_id text collate "C" not null,
  name text collate "C",
  model text collate "C",
  tags jsonb not null default '{}',
  secret_hash bytea not null,
  -- Those that it had before, the newest first: an enrolment that comes late, or twice, must not bring one of them back.
  replaced_secrets bytea[] not null default '{}',
  constraint decommissioned_is_revoked check (decommissioned_at is null or revoked_at is not null)
);
create index device_by_name on device (name, device_id);
create index device_by_enrolment on device (enrolled_at, device_id);
create index device_by_hardware on device (hardware_id);
create index device_by_model on device (model);
create index device_by_revocation on device (revoked_at) where revoked_at is not null;
create index device_by_decommission on device (decommissioned_at) where decommissioned_at is not null;
create index device_by_dispute on device (disputed_until) where disputed_until is not null;
-- Without a list of what is not in it yet, which each reader would have to read.
create index device_by_tag on device using gin (tags jsonb_path_ops) with (fastupdate = off);
create index device_by_text on device using gin (name gin_trgm_ops, hardware_id gin_trgm_ops) with (fastupdate = off);

-- What every batch updates: narrow, room for the new version on the same page, and no second index, so that updates stay heap-only.
create table device_state (
  device_key bigint primary key,
  -- A batch that waited says whose it is: a shard that was restored from a backup may have given its device's key to another since.
  device_id uuid not null,
  applied_through bigint not null default 0,
  -- The batch that the state in device_shadow is of, or equal to: one of an earlier batch never replaces it, in whatever order they arrive.
  state_seq bigint not null default 0,
  last_sync_at timestamptz,
  -- Of the last sync or heartbeat.
  last_seen_at timestamptz,
  records_total bigint not null default 0,
  syncs_total bigint not null default 0,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null,
  state_epoch int not null default 0,
  -- Numbers that are applied and do not follow applied_through.
  ahead int8multirange,
  constraint ahead_is_near check (
    not isempty(ahead) and not lower_inf(ahead) and not upper_inf(ahead)
    and lower(ahead) > applied_through + 1 and upper(ahead) <= applied_through + 1025)
) with (fillfactor = 70);

-- What was applied of the epochs that newer ones have replaced; absent: nothing.
create table device_epoch (
  device_key bigint not null,
  applied_through bigint not null,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null,
  ahead int8multirange,
  primary key (device_key, epoch),
  constraint ahead_is_near check (
    not isempty(ahead) and not lower_inf(ahead) and not upper_inf(ahead)
    and lower(ahead) > applied_through + 1 and upper(ahead) <= applied_through + 1025)
);

-- What a device said of itself, written only when it says something else.
create table device_shadow (
  device_key bigint primary key,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  state jsonb not null
) with (fillfactor = 70);

-- What lists and counts go by, written only when it changes.
create table device_status (
  device_key bigint primary key,
  device_id uuid not null,
  since timestamptz not null default now(),
  -- Of a device that is late or silent, which does not call.
  last_seen_at timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  group_id int not null,
  -- Batches whose number was used before, with other content or nobody can say with which.
  conflicts int not null default 0,
  -- Its last batch could not be applied. Known of one that is late or silent too, for when it calls again.
  is_failing boolean not null default false,
  status text not null check (status in ('pending', 'on_time', 'late', 'silent', 'failing'))
);
create index device_status_by_status on device_status (status, device_id);
create index device_status_by_group on device_status (group_id, device_id);
create index device_status_by_since on device_status (since, device_id);
create index device_status_by_group_and_status on device_status (group_id, status, device_id);

-- When time will have changed a status, or earlier: one row of each device that is on time, failing or late, none of the others. It has no index by device, so
-- rows that are due together lie together, and looking at them writes few pages. It follows from device_status and device_state.
create table device_check (
  check_at timestamptz not null,
  device_key bigint not null,
  primary key (check_at, device_key)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- When devices called, for lists that go by it. It is brought up to device_state each minute, because an index of that one would be paid for by each batch.
create table device_recency (
  device_key bigint primary key,
  device_id uuid not null,
  last_sync_at timestamptz,
  last_seen_at timestamptz
);
create index device_recency_by_last_sync on device_recency (last_sync_at, device_id);
create index device_recency_by_last_seen on device_recency (last_seen_at, device_id);

-- At most one row: as of when device_recency is. All transactions before \`horizon\` were over then.
create table recency_pass (
  one boolean primary key default true check (one),
  as_of timestamptz not null,
  horizon bigint not null
);

-- No table has a default partition: a row without a partition must fail, not hide where retention never looks. A batch is unique over all days by
-- device_state and device_epoch; this key tells only doubles of a day.
create table receipt (
  device_key bigint not null,
  batch_seq bigint not null,
  received_at timestamptz not null,
  applied_at timestamptz not null default now(),
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null,
  received_day date not null,
  record_count int not null,
  bad_count int not null,
  outcome text not null check (outcome in ('applied', 'rejected')),
  mode text not null,
  reason text,
  content_hash bytea not null,
  primary key (device_key, epoch, batch_seq, received_day)
) partition by range (received_day);
create index receipt_by_tx on receipt using brin (tx_id);

create table record (
  device_key bigint not null,
  batch_seq bigint not null,
  seq bigint not null,
  received_at timestamptz not null,
  device_time timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null,
  received_day date not null,
  -- Its place in the batch, from 0. With the batch it names the record.
  ordinal int not null,
  -- The device's time cannot be one, so there is none.
  bad_time boolean not null default false,
  kind text not null,
  data jsonb
) partition by range (received_day);
-- Not unique: entries of a batch share one.
create index record_by_batch on record (device_key, epoch, batch_seq);
create index record_by_tx on record using brin (tx_id);

create table quarantine (
  id uuid not null,
  device_key bigint not null,
  batch_seq bigint not null,
  created_at timestamptz not null default now(),
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  epoch int not null,
  created_day date not null,
  kind text not null check (kind in ('record', 'batch', 'conflict', 'unproved')),
  reason text not null,
  detail jsonb not null default '{}',
  payload bytea,
  primary key (device_key, id, created_day)
) partition by range (created_day);
create index quarantine_by_tx on quarantine using brin (tx_id);

-- Which contents of a device that came under a used number were put into quarantine lately: of each kind the first so many. Without it each of them would be
-- looked for on all days.
create table device_refusal (
  device_key bigint not null,
  batch_seq bigint not null,
  kept_at timestamptz not null default now(),
  epoch int not null,
  kind text not null,
  content_hash bytea not null,
  primary key (device_key, epoch, batch_seq, content_hash)
);

-- What devices still have to do; requests of one type for one device are one command.
create table device_command (
  device_key bigint not null,
  command_id uuid not null,
  request_id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  delivered_at timestamptz,
  acked_at timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  type text not null,
  priority text not null check (priority in ('high', 'normal')),
  params jsonb not null default '{}',
  primary key (device_key, type)
);

-- Commands that are done.
create table device_command_closed (
  device_key bigint not null,
  command_id uuid not null,
  request_id uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  delivered_at timestamptz,
  acked_at timestamptz,
  done_at timestamptz,
  tx_id bigint not null default (pg_current_xact_id()::text::bigint),
  closed_day date not null,
  type text not null,
  priority text not null,
  params jsonb not null,
  primary key (device_key, command_id, closed_day)
) partition by range (closed_day);
create index device_command_closed_by_tx on device_command_closed using brin (tx_id);

-- At most one row: how many entries this shard has written. Who writes the next one has it until his transaction ends, so none is left out.
create table audit_counter (
  one boolean primary key default true check (one),
  last bigint not null
);

-- What people did here, until the keeper has chained it. It stays with the shard, whatever slots do.
create table audit_outbox (
  counter bigint primary key,
  at timestamptz not null default clock_timestamp(),
  entry_id uuid not null unique default gen_random_uuid(),
  -- Null: of the Secret.
  actor_token uuid,
  actor text not null,
  role text not null,
  action text not null,
  object_kind text not null,
  object_id text not null,
  request_id text,
  address text,
  -- Null: the region as a whole.
  group_ids int[],
  before jsonb,
  after jsonb
);
create index audit_outbox_by_time on audit_outbox (at, entry_id);

-- At most one row: which keeper acts here. It writes only in a transaction that finds the term that it has begun.
create table keeper_term (
  one boolean primary key default true check (one),
  term bigint not null,
  holder text not null,
  since timestamptz not null default now()
);
`;
