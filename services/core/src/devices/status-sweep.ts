import type pg from 'pg';
import {type Fence} from '../shards/keeper-term.ts';
import {type Shards} from '../shards/shards.ts';
import {slotOfKey} from '../shards/slot.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';
import {type DeviceStatus, LATE_AFTER_MS, SILENT_AFTER_MS} from './device-status.ts';

/** Rows per transaction: short enough that no writer waits for long. */
const CHUNK = 2000;

/** A row that is due. */
interface Due {
  readonly deviceKey: number;
  readonly status: DeviceStatus;
  readonly lastSyncAt: Date | null;
  /** As the database writes it: to the microsecond. */
  readonly checkAt: string;
}

/** What one transaction did. */
interface Swept {
  /** Rows that were due; more are where it is {@link CHUNK}. */
  readonly due: number;
  readonly written: number;
  readonly changed: number;
}

/**
 * Brings the statuses of a shard up to the clock: the ingest path only ever says that a device synced, time passing is said
 * here. A device that fails stays so until it is late. Only rows that are due are looked at, and where a sync came since they were
 * written, as it has for most, they are only pushed on.
 * @returns how many statuses changed.
 */
export const sweepStatuses = async (shards: Shards, shardId: number, nowMs: number, fence: Fence): Promise<number> => {
  const slots = shards.slotMap.slotsOf(shardId);
  if (slots.length === 0) return 0;
  let changed = 0;
  for (;;) {
    const verdict = await withOwnedSlots(shards.pool(shardId, 'job'), slots, async (client) => {
      await fence(client);
      return sweep(client, slots, nowMs);
    });
    // A slot moved since the map was read: the next sweep sees to the rest.
    if (verdict.kind === 'moved') return changed;
    changed += verdict.value.changed;
    // Those that were passed over are due in the next one too.
    if (verdict.value.due < CHUNK || verdict.value.written === 0) return changed;
  }
};

const sweep = async (client: pg.PoolClient, slots: readonly number[], nowMs: number): Promise<Swept> => {
  const {rows: due} = await client.query<Due>({
    name: 'statuses-due',
    // Cut before the states are looked at: otherwise each chunk would join and sort all that is due.
    text: `with due as materialized (
             select device_key, status, check_at from device_status
             where check_at <= to_timestamp($1::float8 / 1000) and ${slotOfKey('device_key')} = any($2::int[])
             order by check_at limit ${CHUNK})
           select t.device_key as "deviceKey", t.status, s.last_sync_at as "lastSyncAt", t.check_at::text as "checkAt"
           from due t join device_state s on s.device_key = t.device_key`,
    values: [nowMs, slots],
  });
  const sorted = due.toSorted((a, b) => a.deviceKey - b.deviceKey);
  const isAsItWas = (row: Due): boolean => hasSynced(row.status) && statusAt(row, nowMs) === row.status;
  const pushed = await push(client, sorted.filter(isAsItWas));
  const {written, changed} = await change(
    client,
    sorted.filter((row) => !isAsItWas(row)),
    nowMs,
  );
  return {due: due.length, written: pushed + written, changed};
};

/** Of such a device a sync says nothing new but when it has to be looked at again. */
const hasSynced = (status: DeviceStatus): boolean => status === 'on_time' || status === 'failing';

const statusAt = ({status, lastSyncAt}: Due, nowMs: number): DeviceStatus => {
  if (lastSyncAt === null) return 'pending';
  const ageMs = nowMs - lastSyncAt.getTime();
  if (ageMs >= SILENT_AFTER_MS) return 'silent';
  if (ageMs >= LATE_AFTER_MS) return 'late';
  return status === 'failing' ? 'failing' : 'on_time';
};

const LATE = `interval '${LATE_AFTER_MS} ms'`;
const SILENT = `interval '${SILENT_AFTER_MS} ms'`;

/** A sync that comes meanwhile makes this one look too early, which does no harm: no state is locked for it. A row that was written meanwhile stays. */
const push = async (client: pg.PoolClient, rows: readonly Due[]): Promise<number> => {
  if (rows.length === 0) return 0;
  const pushed = await client.query({
    name: 'statuses-push',
    text: `with due as materialized (
             select t.device_key, n.last_sync_at
             from unnest($1::bigint[], $2::text[], $3::timestamptz[]) as n (device_key, check_at, last_sync_at)
             join device_status t on t.device_key = n.device_key and t.check_at = n.check_at::timestamptz
             order by t.device_key for update of t skip locked)
           update device_status t set check_at = due.last_sync_at + ${LATE}, tx_id = pg_current_xact_id()::text::bigint
           from due where t.device_key = due.device_key`,
    values: [
      rows.map(({deviceKey}) => deviceKey),
      rows.map(({checkAt}) => checkAt),
      rows.map(({lastSyncAt}) => lastSyncAt),
    ],
  });
  return pushed.rowCount ?? 0;
};

/**
 * The states are locked: a sync that is not committed yet would find the status as it was before this, and leave it. Those that somebody
 * has are passed over. Of the others everything is read again.
 */
const change = async (
  client: pg.PoolClient,
  rows: readonly Due[],
  nowMs: number,
): Promise<Pick<Swept, 'written' | 'changed'>> => {
  if (rows.length === 0) return {written: 0, changed: 0};
  const result = await client.query<Pick<Swept, 'written' | 'changed'>>({
    name: 'statuses-change',
    text: `with synced as materialized (
             select device_key, last_sync_at from device_state where device_key = any($1::bigint[]) order by device_key
             for share skip locked),
           now as (
             select s.*, t.status as before,
                    case when s.last_sync_at is null then 'pending' when s.last_sync_at <= n.at - ${SILENT} then 'silent'
                         when s.last_sync_at <= n.at - ${LATE} then 'late' when t.status = 'failing' then 'failing'
                         else 'on_time' end as status
             from synced s join device_status t on t.device_key = s.device_key
             cross join (select to_timestamp($2::float8 / 1000) as at) n),
           updated as (
             update device_status t set
               status = now.status, tx_id = pg_current_xact_id()::text::bigint,
               since = case when now.status = now.before then t.since else now() end,
               last_sync_at = case when now.status in ('late', 'silent') then now.last_sync_at end,
               check_at = case when now.status in ('on_time', 'failing') then now.last_sync_at + ${LATE}
                               when now.status = 'late' then now.last_sync_at + ${SILENT} end
             from now where t.device_key = now.device_key returning now.status <> now.before as is_other)
           select count(*)::int as written, count(*) filter (where is_other)::int as changed from updated`,
    values: [rows.map(({deviceKey}) => deviceKey), nowMs],
  });
  return result.rows[0] ?? {written: 0, changed: 0};
};
