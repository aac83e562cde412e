import {changeStatuses} from './device-status.ts';
import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';

/** A sign of life that carried no records. */
export interface Sighting {
  readonly deviceKey: number;
  readonly slot: number;
  readonly seenAtMs: number;
}

/** What could not be written, for another time. */
export interface Unwritten {
  readonly sightings: readonly Sighting[];
  /** Absent where somebody has the rows: a sync, the sweep, or a person. */
  readonly reason?: unknown;
}

/**
 * Moves `last_seen_at` forward for many devices, up to the shard's clock: what a server says of a later time would keep a device on time until then. Rows are locked in key order as every writer does, and the statuses of those come back that were late or silent.
 * Sightings of a slot that is being moved are dropped: the device's next call brings a newer one.
 * @returns what could not be written; the others were.
 */
export const touchLastSeen = async (shards: Shards, sightings: readonly Sighting[]): Promise<readonly Unwritten[]> => {
  const newest = new Map<number, Sighting>();
  for (const sighting of sightings) {
    const known = newest.get(sighting.deviceKey);
    if (known === undefined || known.seenAtMs < sighting.seenAtMs) newest.set(sighting.deviceKey, sighting);
  }
  const byShard = Map.groupBy(newest.values(), ({slot}) => shards.slotMap.shardOf(slot));
  const outcomes = Array.from(byShard, ([shardId, group]) =>
    touchOnShard(shards, shardId, group).then(
      (held): Unwritten => ({sightings: held}),
      (reason: unknown): Unwritten => ({sightings: group, reason}),
    ),
  );
  return (await Promise.all(outcomes)).filter((outcome) => outcome.sightings.length > 0);
};

/** @returns those whose rows somebody has */
const touchOnShard = async (
  shards: Shards,
  shardId: number,
  group: readonly Sighting[],
): Promise<readonly Sighting[]> => {
  const first = await touch(shards, shardId, group);
  if (first.kind === 'done') return first.value;
  const moved = new Set(first.slots);
  const rest = group.filter(({slot}) => !moved.has(slot));
  if (rest.length === 0) return [];
  const second = await touch(shards, shardId, rest);
  return second.kind === 'done' ? second.value : [];
};

/** A statement of its own: a sweep that made a device late a moment ago is seen by it, because the device's row could be locked since. */
const BRING_BACK = {
  name: 'statuses-bring-back',
  text: changeStatuses(
    `select device_key, status as before, last_seen_at as seen_before, is_failing as was_failing, is_failing
     from device_status where device_key = any($1::bigint[]) and status in ('late', 'silent') order by device_key for update skip locked`,
  ),
};

const touch = (shards: Shards, shardId: number, sightings: readonly Sighting[]) =>
  withOwnedSlots(
    shards.pool(shardId, 'ingest'),
    sightings.map(({slot}) => slot),
    async (client) => {
      const held = await client.query<{readonly deviceKey: number}>({
        name: 'touch-last-seen',
        text: `with free as materialized (
                 select s.device_key, least(to_timestamp(seen.at_ms / 1000), now()) as at
                 from unnest($1::bigint[], $2::float8[]) as seen (device_key, at_ms) join device_state s on s.device_key = seen.device_key
                 order by s.device_key for update of s skip locked),
               touched as (
                 update device_state s set last_seen_at = free.at, tx_id = pg_current_xact_id()::text::bigint
                 from free where s.device_key = free.device_key and coalesce(s.last_seen_at, '-infinity') < free.at)
               select s.device_key as "deviceKey" from unnest($1::bigint[]) as n (device_key) join device_state s on s.device_key = n.device_key
               where n.device_key not in (select device_key from free)`,
        values: [sightings.map(({deviceKey}) => deviceKey), sightings.map(({seenAtMs}) => seenAtMs)],
      });
      const busy = new Set(held.rows.map(({deviceKey}) => deviceKey));
      const isBusy = ({deviceKey}: Sighting): boolean => busy.has(deviceKey);
      await client.query({
        ...BRING_BACK,
        values: [sightings.filter((sighting) => !isBusy(sighting)).map(({deviceKey}) => deviceKey)],
      });
      return sightings.filter(isBusy);
    },
  );
