import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';

/** A sign of life that carried no records. */
export interface Sighting {
  readonly deviceKey: number;
  readonly slot: number;
  readonly seenAtMs: number;
}

/**
 * Moves `last_seen_at` forward for many devices, one statement per shard, rows locked in key order as every writer does.
 * Sightings of a slot that is being moved are dropped: the device's next call brings a newer one.
 * @returns how many devices were updated.
 */
export const touchLastSeen = async (shards: Shards, sightings: readonly Sighting[]): Promise<number> => {
  const newest = new Map<number, Sighting>();
  for (const sighting of sightings) {
    const known = newest.get(sighting.deviceKey);
    if (known === undefined || known.seenAtMs < sighting.seenAtMs) newest.set(sighting.deviceKey, sighting);
  }
  const byShard = Map.groupBy(newest.values(), ({slot}) => shards.slotMap.shardOf(slot));
  let updated = 0;
  for (const [shardId, group] of byShard) {
    const first = await touch(shards, shardId, group);
    if (first.kind === 'done') {
      updated += first.value;
      continue;
    }
    const moved = new Set(first.slots);
    const rest = group.filter(({slot}) => !moved.has(slot));
    const second = rest.length === 0 ? undefined : await touch(shards, shardId, rest);
    if (second?.kind === 'done') updated += second.value;
  }
  return updated;
};

const touch = (shards: Shards, shardId: number, sightings: readonly Sighting[]) =>
  withOwnedSlots(
    shards.pool(shardId, 'ingest'),
    sightings.map(({slot}) => slot),
    async (client) => {
      const result = await client.query({
        name: 'touch-last-seen',
        text: `with seen as (select * from unnest($1::bigint[], $2::float8[]) as seen (device_key, at_ms)),
                    locked as (select device_key from device_state where device_key = any($1) order by device_key for update)
               update device_state s set last_seen_at = greatest(s.last_seen_at, to_timestamp(seen.at_ms / 1000)),
                      tx_id = pg_current_xact_id()::text::bigint
               from seen join locked using (device_key) where s.device_key = seen.device_key`,
        values: [sightings.map(({deviceKey}) => deviceKey), sightings.map(({seenAtMs}) => seenAtMs)],
      });
      return result.rowCount ?? 0;
    },
  );
