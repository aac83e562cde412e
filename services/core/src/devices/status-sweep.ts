import type pg from 'pg';
import {type Fence} from '../shards/keeper-term.ts';
import {slotOfKey} from '../shards/slot.ts';
import {inSlotTransaction} from '../shards/slot-transaction.ts';
import {withConnection} from '../shards/with-connection.ts';
import {type DeviceStatus, LATE_AFTER_MS, nextCheck, statusNow} from './device-status.ts';

/** Rows per transaction: short enough that no writer waits for long. */
const CHUNK = 2000;

export interface SweepOptions {
  readonly fence: Fence;
  /** When it aborts the connection is cut. */
  readonly signal?: AbortSignal;
}

/** What a check goes by. Times are as the database writes them: to the microsecond. */
interface Standing {
  readonly deviceKey: number;
  /** Null: there is no such device any more. */
  readonly status: DeviceStatus | null;
  readonly lastSeenAt: string | null;
}

/** A check that is due. */
interface Due extends Standing {
  readonly checkAt: string;
  /** Null: it never called. */
  readonly hasCalledInTime: boolean | null;
}

/** What one transaction did. */
interface Swept {
  /** Checks that were due; more are where it is {@link CHUNK}. */
  readonly due: number;
  readonly done: number;
  readonly changed: number;
}

/**
 * Brings the statuses of a shard up to its own clock: elsewhere it is only ever said that a device called, time passing is said
 * here. A device that fails stays so until it is late. Only checks that are due are looked at, and where a call came since they were
 * made, as it has for most, they are only put off. The shard itself says which slots it owns, so no other one is needed for it.
 *
 * @returns how many statuses changed
 */
export const sweepStatuses = async (pool: pg.Pool, {fence, signal}: SweepOptions): Promise<number> => {
  let slots = await withConnection(pool, signal, ownedSlots);
  let changed = 0;
  while (slots.length > 0) {
    const verdict = await inSlotTransaction(pool, {
      slots,
      open: fence,
      work: (client) => sweep(client, slots),
      deadline: signal,
    });
    if (verdict.kind === 'moved') {
      const moved = new Set(verdict.slots);
      slots = slots.filter((slot) => !moved.has(slot));
      continue;
    }
    changed += verdict.value.changed;
    // Those that were passed over are due in the next one too.
    if (verdict.value.due < CHUNK || verdict.value.done === 0) break;
  }
  return changed;
};

const ownedSlots = async (client: pg.ClientBase): Promise<readonly number[]> => {
  const {rows} = await client.query<{slot: number}>(`select slot from slot_owner where state = 'owned' order by slot`);
  return rows.map(({slot}) => slot);
};

const sweep = async (client: pg.PoolClient, slots: readonly number[]): Promise<Swept> => {
  const {rows} = await client.query<Due>({
    name: 'checks-due',
    // Cut before the states are looked at: otherwise each chunk would join and sort all that is due. A check that somebody has is passed over, and stays due.
    text: `with due as materialized (
             select check_at, device_key from device_check
             where check_at <= now() and ${slotOfKey('device_key')} = any($1::int[])
             order by check_at, device_key limit ${CHUNK} for update skip locked)
           select due.device_key as "deviceKey", t.status, s.last_seen_at::text as "lastSeenAt", due.check_at::text as "checkAt",
                  s.last_seen_at > now() - interval '${LATE_AFTER_MS} ms' as "hasCalledInTime"
           from due left join device_status t on t.device_key = due.device_key
           left join device_state s on s.device_key = due.device_key`,
    values: [slots],
  });
  const due = rows.toSorted((a, b) => a.deviceKey - b.deviceKey);
  const changed = await change(
    client,
    due.filter((row) => !staysAsItIs(row)).map(({deviceKey}) => deviceKey),
  );
  const standing = new Map<number, Standing>(
    [...due.filter(staysAsItIs), ...changed].map((row) => [row.deviceKey, row]),
  );
  await moveChecks(client, due, standing);
  return {due: due.length, done: standing.size, changed: changed.filter(({isOther}) => isOther).length};
};

/** Of such a device a call says nothing new but when it has to be looked at again. */
const staysAsItIs = ({status, hasCalledInTime}: Due): boolean =>
  status === null || ((status === 'on_time' || status === 'failing') && hasCalledInTime === true);

/**
 * The states are locked: a call that is not committed yet would find the status as it was before this, and leave it. Rows that somebody
 * has are passed over, and stay due. Of the others everything is read again.
 */
const change = async (
  client: pg.PoolClient,
  deviceKeys: readonly number[],
): Promise<readonly (Standing & {readonly isOther: boolean})[]> => {
  if (deviceKeys.length === 0) return [];
  const result = await client.query<Standing & {readonly isOther: boolean}>({
    name: 'statuses-change',
    text: `with s as materialized (
             select device_key, last_sync_at, last_seen_at from device_state where device_key = any($1::bigint[]) order by device_key
             for share skip locked),
           free as materialized (
             select device_key, is_failing from device_status where device_key = any($1::bigint[]) order by device_key for update skip locked),
           n as (
             select s.*, ${statusNow('free.is_failing')} as status from s join free using (device_key))
           update device_status t set
             status = n.status, since = case when t.status = n.status then t.since else now() end,
             last_seen_at = case when n.status in ('late', 'silent') then n.last_seen_at end, tx_id = pg_current_xact_id()::text::bigint
           from n where t.device_key = n.device_key
           returning t.device_key as "deviceKey", t.status, n.last_seen_at::text as "lastSeenAt", t.since = now() as "isOther"`,
    values: [deviceKeys],
  });
  return result.rows;
};

/** Each goes, and comes again for when time changes the status next. A call that comes meanwhile makes that too early, which does no harm. */
const moveChecks = async (
  client: pg.PoolClient,
  due: readonly Due[],
  standing: ReadonlyMap<number, Standing>,
): Promise<void> => {
  const moved = due.flatMap(({deviceKey, checkAt}) => {
    const to = standing.get(deviceKey);
    return to === undefined ? [] : [{deviceKey, checkAt, to}];
  });
  if (moved.length === 0) return;
  await client.query({
    name: 'checks-move',
    text: `with gone as (
             delete from device_check c
             using unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[]) as n (device_key, check_at, status, last_seen_at)
             where c.check_at = n.check_at and c.device_key = n.device_key
             returning n.device_key, ${nextCheck('n.status', 'n.last_seen_at')} as check_at)
           insert into device_check (device_key, check_at) select * from gone where check_at is not null on conflict do nothing`,
    values: [
      moved.map(({deviceKey}) => deviceKey),
      moved.map(({checkAt}) => checkAt),
      moved.map(({to}) => to.status),
      moved.map(({to}) => to.lastSeenAt),
    ],
  });
};
