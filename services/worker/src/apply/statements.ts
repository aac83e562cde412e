/** The statements of the ingest transaction. Prepared once per connection; every parameter is an array, sorted by key. */

const TX = 'tx_id = pg_current_xact_id()::text::bigint';

/** Returns the keys that are new, in the order given. */
export const INSERT_RECEIPTS = {
  name: 'receipts-insert',
  text: `insert into receipt (device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, reason,
                              received_day, received_at)
         select * from unnest($1::bigint[], $2::int[], $3::bigint[], $4::smallint[], $5::bytea[], $6::text[], $7::int[], $8::int[],
                              $9::text[], $10::text[], $11::date[], $12::timestamptz[])
         on conflict do nothing returning device_key as "deviceKey", epoch, batch_seq as "batchSeq"`,
};

/** What is known of batches that are not new. */
export const FIND_RECEIPTS = {
  name: 'receipts-find',
  text: `select device_key as "deviceKey", epoch, batch_seq as "batchSeq", content_hash as "contentHash" from receipt
         where (device_key, epoch, batch_seq) in (select * from unnest($1::bigint[], $2::int[], $3::bigint[]))`,
};

/**
 * $1 to $6 have an element a batch, the others one a record, whose $7 is the position of its batch. Functions that return sets
 * stand in the select list: in FROM each would be written to a buffer of its own before the first row is made.
 */
export const INSERT_RECORDS = {
  name: 'records-insert',
  text: `insert into record (device_key, slot, epoch, batch_seq, received_day, received_at, seq, kind, device_time, data)
         select ($1::bigint[])[batch], ($2::smallint[])[batch], ($3::int[])[batch], ($4::bigint[])[batch], ($5::date[])[batch],
                ($6::timestamptz[])[batch], seq, kind, device_time, data
         from (select unnest($7::int[]) as batch, unnest($8::bigint[]) as seq, unnest($9::text[]) as kind,
                      unnest($10::timestamptz[]) as device_time, unnest($11::jsonb[]) as data) n`,
};

/** A conflict that is delivered twice is one conflict. */
export const INSERT_QUARANTINE = {
  name: 'quarantine-insert',
  text: `insert into quarantine (device_key, slot, epoch, batch_seq, kind, reason, detail, payload)
         select n.* from unnest($1::bigint[], $2::smallint[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[])
           as n (device_key, slot, epoch, batch_seq, kind, reason, detail, payload)
         where n.kind <> 'conflict' or not exists (
           select from quarantine q where q.device_key = n.device_key and q.epoch = n.epoch and q.batch_seq = n.batch_seq
             and q.kind = 'conflict' and q.detail = n.detail)`,
};

/** Makes rows for devices that have none; enrolment normally did. */
export const ENSURE_STATES = {
  name: 'states-ensure',
  text: `insert into device_state (device_key, slot, epoch) select * from unnest($1::bigint[], $2::smallint[], $3::int[])
         on conflict do nothing`,
};

/**
 * Locks the devices before anything is computed about them: the next statement's snapshot then has the receipts of every
 * writer that held the locks before.
 */
export const LOCK_STATES = {
  name: 'states-lock',
  text: 'select device_key from device_state where device_key = any($1::bigint[]) order by device_key for update',
};

/**
 * One row per device. `applied_through` moves over the receipts that follow it without a gap: among those, batch number minus
 * row number stays what `applied_through` was. A newer epoch starts from zero; an older one changes no position.
 */
export const UPDATE_STATES = {
  name: 'states-update',
  text: `update device_state s set
           epoch = p.epoch, applied_through = p.top,
           state = case when p.newer then p.state else s.state end,
           state_epoch = case when p.newer then p.state_epoch else s.state_epoch end,
           state_seq = case when p.newer then p.state_seq else s.state_seq end,
           last_sync_at = greatest(s.last_sync_at, p.received_at), last_seen_at = greatest(s.last_seen_at, p.received_at),
           records_total = s.records_total + p.records, syncs_total = s.syncs_total + p.syncs, ${TX}
         from (
           select n.device_key, n.state, n.state_epoch, n.state_seq, n.received_at, n.records, n.syncs, b.epoch,
                  n.state is not null and (n.state_epoch, n.state_seq) > (o.state_epoch, o.state_seq) as newer,
                  coalesce((select max(x.batch_seq) from (
                      select r.batch_seq, r.batch_seq - row_number() over (order by r.batch_seq) as base from receipt r
                      where r.device_key = n.device_key and r.epoch = b.epoch and r.batch_seq > b.through) x
                    where x.base = b.through), b.through) as top
           from unnest($1::bigint[], $2::int[], $3::jsonb[], $4::int[], $5::bigint[], $6::timestamptz[], $7::bigint[], $8::bigint[])
             as n (device_key, epoch, state, state_epoch, state_seq, received_at, records, syncs)
           join device_state o on o.device_key = n.device_key
           cross join lateral (select greatest(o.epoch, n.epoch) as epoch,
                                      case when n.epoch > o.epoch then 0 else o.applied_through end as through) b
         ) p where s.device_key = p.device_key
         returning s.device_key as "deviceKey", s.epoch, s.applied_through as "appliedThrough"`,
};

/** Touches only the rows that change, because the index by status is paid for by each of them. */
export const UPDATE_STATUSES = {
  name: 'statuses-update',
  text: `with changed as (
           select t.device_key, n.status from unnest($1::bigint[], $2::text[]) as n (device_key, status)
           join device_status t on t.device_key = n.device_key
           where t.status <> n.status order by t.device_key for update of t)
         update device_status t set status = changed.status, since = now(), ${TX}
         from changed where t.device_key = changed.device_key`,
};

/** A sync that arrived after a command was handed out answers it: any for a delta, a full one for a full. */
export const FINISH_COMMANDS = {
  name: 'commands-finish',
  text: `with answered as (
           select c.command_id, n.received_at
           from unnest($1::bigint[], $2::int[], $3::bool[], $4::timestamptz[]) as n (device_key, epoch, is_full, received_at)
           join device_command c on c.device_key = n.device_key
           where c.done_at is null and c.delivered_at < n.received_at
             and (c.type = 'sync.delta' or (c.type = 'sync.full' and n.is_full)
                  or (c.type = 'epoch.new' and n.epoch > coalesce((c.params ->> 'epoch')::int, 0)))
           order by c.device_key, c.type for update of c)
         update device_command c set done_at = answered.received_at, ${TX} from answered where c.command_id = answered.command_id`,
};
