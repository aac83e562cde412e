import {type Fence} from '../shards/keeper-term.ts';
import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';
import {statusCutoffs} from './device-status.ts';

/** Rows per transaction: short enough that no writer waits for long. */
const CHUNK = 2000;

/**
 * Brings the statuses of a shard up to the clock: the ingest path only ever says that a device synced, time passing is said
 * here. A device that fails stays so until it is late.
 * @returns how many statuses changed.
 */
export const sweepStatuses = async (shards: Shards, shardId: number, nowMs: number, fence: Fence): Promise<number> => {
  const {lateBeforeMs, silentBeforeMs} = statusCutoffs(nowMs);
  const slots = shards.slotMap.slotsOf(shardId);
  if (slots.length === 0) return 0;
  let changed = 0;
  for (;;) {
    const verdict = await withOwnedSlots(shards.pool(shardId, 'job'), slots, async (client) => {
      await fence(client);
      const result = await client.query({
        name: 'statuses-sweep',
        text: `with due as (
                 select t.device_key, a.status from device_status t join device_state s on s.device_key = t.device_key
                 cross join lateral (select case when s.last_sync_at is null then 'pending'
                                                 when s.last_sync_at < to_timestamp($2::float8 / 1000) then 'silent'
                                                 when s.last_sync_at < to_timestamp($1::float8 / 1000) then 'late'
                                                 else 'on_time' end as status) a
                 where t.slot = any($4::smallint[]) and t.status <> a.status and not (t.status = 'failing' and a.status in ('on_time', 'pending'))
                 order by t.device_key limit $3 for update of t)
               update device_status t set status = due.status, since = now(), tx_id = pg_current_xact_id()::text::bigint
               from due where t.device_key = due.device_key`,
        values: [lateBeforeMs, silentBeforeMs, CHUNK, slots],
      });
      return result.rowCount ?? 0;
    });
    // A slot moved since the map was read: the next sweep sees to the rest.
    if (verdict.kind === 'moved') return changed;
    changed += verdict.value;
    if (verdict.value < CHUNK) return changed;
  }
};
