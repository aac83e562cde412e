/** The statements of the ingest transaction. Prepared once per connection; every parameter is an array, sorted by key. */
import {changeStatuses} from '@pisync/core/devices/device-status';

const TX = 'tx_id = pg_current_xact_id()::text::bigint';

/** SQL: when the shard heard of a batch at the latest. A server whose clock is ahead says it received it later, and that would keep its device on time until then. */
const HEARD_AT = 'least(n.received_at, now())';

/** SQL: a day by the worker's clock, and by the shard's if they are more than a day apart. @param day SQL */
const nearToday = (day: string): string =>
  `greatest(least(${day}::date, (now() at time zone 'UTC')::date + 1), (now() at time zone 'UTC')::date - 1)`;

/**
 * Returns a row for each key, with null for those of which none was locked. Of a row that was waited for a statement sees the new version, and of
 * what is joined to it the old one: so it has columns of this row alone.
 */
export const LOCK_DEVICES = {
  name: 'devices-lock',
  text: `with l as materialized (
           select device_key, device_id, epoch, applied_through, ahead::text as ahead, state_epoch, state_seq from device_state
           where device_key = any($1::bigint[]) order by device_key for update skip locked)
         select n.device_key as "deviceKey", l.device_id as "deviceId", l.epoch, l.applied_through as through, l.ahead, l.state_epoch as "stateEpoch", l.state_seq as "stateSeq",
                l.device_key is null and exists (select from device_state s where s.device_key = n.device_key) as busy
         from unnest($1::bigint[]) n (device_key) left join l on l.device_key = n.device_key`,
};

/** The tables whose rows a batch changes, and what their keys are made of. */
const WRITTEN = {
  device_state: ['device_key'],
  device_status: ['device_key'],
  device_shadow: ['device_key'],
  device_epoch: ['device_key', 'epoch'],
  device_command: ['device_key', 'type'],
} as const;

/** The devices of which a row could not be locked at once: somebody has it. Its own locks end with it. */
export const FIND_HELD = {
  name: 'devices-held',
  text: `with ${Object.entries(WRITTEN)
    .map(
      ([table, key]) =>
        `free_${table} as materialized (
           select ${key.join(', ')} from ${table} where device_key = any($1::bigint[]) order by ${key.join(', ')} for update skip locked)`,
    )
    .join(', ')}
         ${Object.entries(WRITTEN)
           .map(
             ([table, key]) =>
               `select device_key as "deviceKey" from (
                  select ${key.join(', ')} from ${table} where device_key = any($1::bigint[]) except select ${key.join(', ')} from free_${table}) ${table}`,
           )
           .join(' union ')}`,
};

/** Only after {@link LOCK_DEVICES}, and in a statement of its own: what it says of devices that were locked was committed before. */
export const FIND_EPOCHS = {
  name: 'epochs-find',
  text: `select e.device_key as "deviceKey", e.epoch, e.applied_through as through, e.ahead::text as ahead
         from unnest($1::bigint[], $2::int[]) n (device_key, epoch)
         join device_epoch e on e.device_key = n.device_key and e.epoch = n.epoch`,
};

const foundReceipts = (days: string): string =>
  `select n.device_key as "deviceKey", n.epoch, n.batch_seq as "batchSeq", r.content_hash as "contentHash"
   from unnest($1::bigint[], $2::int[], $3::bigint[]) n (device_key, epoch, batch_seq) cross join lateral (
     select content_hash from receipt r where r.device_key = n.device_key and r.epoch = n.epoch and r.batch_seq = n.batch_seq ${days}
     order by r.received_day desc limit 1) r`;

/** From a day to a day, because each day is an index to look into, and there are some for days to come. */
export const FIND_RECENT_RECEIPTS = {
  name: 'receipts-recent',
  text: foundReceipts('and r.received_day between $4::date and $5::date'),
};
export const FIND_RECEIPTS = {name: 'receipts-find', text: foundReceipts('')};

export const INSERT_RECEIPTS = {
  name: 'receipts-insert',
  text: `insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, reason,
                              received_day, received_at)
         select * from unnest($1::bigint[], $2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::int[], $7::int[],
                              $8::text[], $9::text[], $10::date[], $11::timestamptz[])`,
};

/**
 * $1 to $5 have an element a batch, the others one a record, whose $6 is the position of its batch. Functions that return sets
 * stand in the select list: in FROM each would be written to a buffer of its own before the first row is made.
 */
export const INSERT_RECORDS = {
  name: 'records-insert',
  text: `insert into record (device_key, epoch, batch_seq, received_day, received_at, ordinal, seq, kind, device_time, bad_time, data)
         select ($1::bigint[])[batch], ($2::int[])[batch], ($3::bigint[])[batch], ($4::date[])[batch],
                ($5::timestamptz[])[batch], ordinal, seq, kind, device_time, bad_time, data
         from (select unnest($6::int[]) as batch, unnest($7::int[]) as ordinal, unnest($8::bigint[]) as seq, unnest($9::text[]) as kind,
                      unnest($10::timestamptz[]) as device_time, unnest($11::bool[]) as bad_time, unnest($12::jsonb[]) as data) n`,
};

export const INSERT_QUARANTINE = {
  name: 'quarantine-insert',
  text: `insert into quarantine (id, device_key, epoch, batch_seq, kind, reason, detail, payload, created_day)
         select *, ${nearToday('$9')}
         from unnest($1::uuid[], $2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[])`,
};

/** So many contents of a device whose number was used are kept of a kind in so many days; after that they are only counted. */
const MAX_KEPT = 20;
const KEPT_DAYS = 30;

/** Before {@link KEEP_REFUSED}: what was kept longer ago takes no place any more, and is kept once more if it comes again. */
export const FORGET_REFUSED = {
  name: 'refused-forget',
  text: `delete from device_refusal where device_key = any($1::bigint[]) and kept_at < now() - interval '${KEPT_DAYS} days'`,
};

/** Puts contents whose number was used into quarantine, each once however often it is delivered. It counts those that are not kept yet; beyond the most, each time they come. */
export const KEEP_REFUSED = {
  name: 'refused-keep',
  text: `with n as materialized (
           select n.*, row_number() over (partition by device_key, kind) as place
           from unnest($1::uuid[], $2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[], $9::bytea[])
             as n (id, device_key, epoch, batch_seq, kind, reason, detail, payload, content_hash)
           where not exists (
             select from device_refusal r where r.device_key = n.device_key and r.epoch = n.epoch and r.batch_seq = n.batch_seq
               and r.content_hash = n.content_hash)),
         kept as (
           insert into device_refusal (device_key, epoch, batch_seq, content_hash, kind)
           select device_key, epoch, batch_seq, content_hash, kind from n
           where place + (select count(*) from device_refusal r where r.device_key = n.device_key and r.kind = n.kind) <= ${MAX_KEPT}
           returning device_key, epoch, batch_seq, content_hash),
         put as (
           insert into quarantine (id, device_key, epoch, batch_seq, kind, reason, detail, payload, created_day)
           select id, device_key, epoch, batch_seq, kind, reason, detail, payload, ${nearToday('$10')}
           from n join kept using (device_key, epoch, batch_seq, content_hash))
         update device_status t set conflicts = conflicts + c.count, ${TX}
         from (select device_key, count(*)::int as count from n group by device_key) c where t.device_key = c.device_key`,
};

export const PUT_EPOCHS = {
  name: 'epochs-put',
  text: `insert into device_epoch (device_key, epoch, applied_through, ahead)
         select device_key, epoch, through, ahead::int8multirange
         from unnest($1::bigint[], $2::int[], $3::bigint[], $4::text[]) as n (device_key, epoch, through, ahead)
         on conflict (device_key, epoch) do update set applied_through = excluded.applied_through, ahead = excluded.ahead, ${TX}`,
};

export const UPDATE_DEVICES = {
  name: 'devices-update',
  text: `update device_state s set
           epoch = n.epoch, applied_through = n.through, ahead = n.ahead::int8multirange, state_epoch = n.state_epoch, state_seq = n.state_seq,
           last_sync_at = greatest(s.last_sync_at, ${HEARD_AT}), last_seen_at = greatest(s.last_seen_at, ${HEARD_AT}),
           records_total = s.records_total + n.records, syncs_total = s.syncs_total + n.syncs, ${TX}
         from unnest($1::bigint[], $2::int[], $3::bigint[], $4::text[], $5::int[], $6::bigint[], $7::timestamptz[], $8::bigint[], $9::bigint[])
           as n (device_key, epoch, through, ahead, state_epoch, state_seq, received_at, records, syncs)
         where s.device_key = n.device_key`,
};

/** Most devices say what they said before; a row that conflicts would be locked, and so written, even if it stays as it is. */
export const PUT_SHADOWS = {
  name: 'shadows-put',
  text: `insert into device_shadow (device_key, state)
         select n.* from unnest($1::bigint[], $2::jsonb[]) as n (device_key, state)
         where not exists (select from device_shadow h where h.device_key = n.device_key and h.state = n.state)
         on conflict (device_key) do update set state = excluded.state, ${TX}`,
};

/**
 * After {@link UPDATE_DEVICES}. Of batches that come in another order the one with the highest number tells whether a device fails. Nothing is looked at of a device
 * that is on time or failing and stays so.
 */
export const UPDATE_STATUSES = {
  name: 'statuses-update',
  text: changeStatuses(
    `select t.device_key, t.status as before, t.last_seen_at as seen_before, t.is_failing as was_failing,
            case when n.is_newest then n.rejected else t.is_failing end as is_failing
     from unnest($1::bigint[], $2::bool[], $3::bool[]) as n (device_key, rejected, is_newest)
     join device_status t on t.device_key = n.device_key
     where t.status not in ('on_time', 'failing') or (n.is_newest and n.rejected <> t.is_failing)
     order by t.device_key for update of t`,
  ),
};

/** A sync closes the commands that it names. That of a newer epoch closes the one that asked for it. */
export const CLOSE_COMMANDS = {
  name: 'commands-close',
  text: `with answered as (
           select c.device_key, c.type, ${HEARD_AT} as done_at
           from unnest($1::bigint[], $2::int[], $3::timestamptz[]) as n (device_key, epoch, received_at)
           join device_command c on c.device_key = n.device_key
           where exists (select from unnest($4::bigint[], $5::uuid[]) as a (device_key, command_id)
                         where a.device_key = c.device_key and a.command_id = c.command_id)
             or (c.type = 'epoch.new' and n.epoch > coalesce((c.params ->> 'epoch')::int, 0))
           order by c.device_key, c.type for update of c),
         gone as (
           delete from device_command c using answered a where c.device_key = a.device_key and c.type = a.type
           returning c.*, a.done_at)
         insert into device_command_closed (device_key, command_id, request_id, created_at, expires_at, delivered_at, acked_at, done_at, closed_day,
                                            type, priority, params)
         select device_key, command_id, request_id, created_at, expires_at, delivered_at, acked_at, done_at, ${nearToday('$6')}, type, priority, params
         from gone`,
};
