import {type Fence} from '../shards/keeper-term.ts';
import {type Shards} from '../shards/shards.ts';
import {slotOfKey} from '../shards/slot.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';
import {LATE_AFTER_MS, SILENT_AFTER_MS} from './device-status.ts';

/** Rows per transaction: short enough that no writer waits for long. */
const CHUNK = 2000;

/** What one transaction did. */
interface Swept {
  /** Rows that were looked at; more are due where it is {@link CHUNK}. */
  readonly looked: number;
  readonly written: number;
  readonly changed: number;
}

/**
 * Brings the statuses of a shard up to the clock: the ingest path only ever says that a device synced, time passing is said
 * here. A device that fails stays so until it is late. Only rows that are due are looked at; where a sync came since they were
 * written they are pushed on.
 * @returns how many statuses changed.
 */
export const sweepStatuses = async (shards: Shards, shardId: number, nowMs: number, fence: Fence): Promise<number> => {
  const slots = shards.slotMap.slotsOf(shardId);
  if (slots.length === 0) return 0;
  let changed = 0;
  for (;;) {
    const verdict = await withOwnedSlots(shards.pool(shardId, 'job'), slots, async (client): Promise<Swept> => {
      await fence(client);
      const due = await client.query<{deviceKey: number}>({
        name: 'statuses-due',
        text: `select t.device_key as "deviceKey" from device_status t
               where t.check_at <= to_timestamp($1::float8 / 1000) and ${slotOfKey('t.device_key')} = any($2::int[])
               order by t.check_at limit ${CHUNK} for update skip locked`,
        values: [nowMs, slots],
      });
      if (due.rows.length === 0) return {looked: 0, written: 0, changed: 0};
      // The state is locked as well: a sync that is not committed yet would find the status as it was before this, and leave it. Such a one is passed over.
      const result = await client.query<Omit<Swept, 'looked'>>({
        name: 'statuses-sweep',
        text: `with synced as materialized (
                 select device_key, last_sync_at from device_state where device_key = any($1::bigint[]) order by device_key
                 for share skip locked),
               now as (
                 select t.device_key, t.status as before, s.last_sync_at,
                   case when s.last_sync_at is null then 'pending'
                        when s.last_sync_at <= n.at - n.silent then 'silent'
                        when s.last_sync_at <= n.at - n.late then 'late'
                        when t.status = 'failing' then 'failing'
                        else 'on_time' end as status, n.late, n.silent
                 from device_status t join synced s on s.device_key = t.device_key
                 cross join (select to_timestamp($2::float8 / 1000) as at, make_interval(secs => $3::float8 / 1000) as late,
                                    make_interval(secs => $4::float8 / 1000) as silent) n),
               updated as (
                 update device_status t set
                   status = now.status,
                   since = case when now.status = now.before then t.since else now() end,
                   last_sync_at = case when now.status in ('late', 'silent') then now.last_sync_at end,
                   check_at = case when now.status in ('on_time', 'failing') then now.last_sync_at + now.late
                                   when now.status = 'late' then now.last_sync_at + now.silent end,
                   tx_id = pg_current_xact_id()::text::bigint
                 from now where t.device_key = now.device_key returning now.status <> now.before as changed)
               select count(*)::int as written, count(*) filter (where changed)::int as changed from updated`,
        values: [due.rows.map(({deviceKey}) => deviceKey), nowMs, LATE_AFTER_MS, SILENT_AFTER_MS],
      });
      const [swept = {written: 0, changed: 0}] = result.rows;
      return {looked: due.rows.length, ...swept};
    });
    // A slot moved since the map was read: the next sweep sees to the rest.
    if (verdict.kind === 'moved') return changed;
    changed += verdict.value.changed;
    // Those that were passed over are due in the next one too.
    if (verdict.value.looked < CHUNK || verdict.value.written === 0) return changed;
  }
};
