import {type Shards} from '../shards/shards.ts';
import {withOwnedSlots} from '../shards/slot-transaction.ts';

/** A sign of life that carried no records. */
export interface Sighting {
  readonly deviceKey: number;
  readonly slot: number;
  readonly seenAtMs: number;
}

/** What could not be written, for another time, and why. */
export interface Unwritten {
  readonly sightings: readonly Sighting[];
  readonly reason: unknown;
}

/**
 * Moves `last_seen_at` forward for many devices, one statement per shard, rows locked in key order as every writer does.
 * Sightings of a slot that is being moved are dropped, and those of a row that somebody has, mostly a sync, which says it too: the device's next call brings a newer one.
 * @returns one entry for each shard that failed; the others were written.
 */
export const touchLastSeen = async (shards: Shards, sightings: readonly Sighting[]): Promise<readonly Unwritten[]> => {
  const newest = new Map<number, Sighting>();
  for (const sighting of sightings) {
    const known = newest.get(sighting.deviceKey);
    if (known === undefined || known.seenAtMs < sighting.seenAtMs) newest.set(sighting.deviceKey, sighting);
  }
  const byShard = Map.groupBy(newest.values(), ({slot}) => shards.slotMap.shardOf(slot));
  const outcomes = Array.from(byShard, ([shardId, group]) =>
    touchOnShard(shards, shardId, group).catch((reason: unknown): Unwritten => ({sightings: group, reason})),
  );
  return (await Promise.all(outcomes)).filter((outcome) => outcome !== undefined);
};

const touchOnShard = async (shards: Shards, shardId: number, group: readonly Sighting[]): Promise<undefined> => {
  const first = await touch(shards, shardId, group);
  if (first.kind === 'done') return;
  const moved = new Set(first.slots);
  const rest = group.filter(({slot}) => !moved.has(slot));
  if (rest.length > 0) await touch(shards, shardId, rest);
};

const touch = (shards: Shards, shardId: number, sightings: readonly Sighting[]) =>
  withOwnedSlots(
    shards.pool(shardId, 'ingest'),
    sightings.map(({slot}) => slot),
    (client) =>
      client.query({
        name: 'touch-last-seen',
        text: `with seen as (select * from unnest($1::bigint[], $2::float8[]) as seen (device_key, at_ms)),
                    locked as (select device_key from device_state where device_key = any($1) order by device_key for update skip locked)
               update device_state s set last_seen_at = greatest(s.last_seen_at, to_timestamp(seen.at_ms / 1000)),
                      tx_id = pg_current_xact_id()::text::bigint
               from seen join locked using (device_key) where s.device_key = seen.device_key`,
        values: [sightings.map(({deviceKey}) => deviceKey), sightings.map(({seenAtMs}) => seenAtMs)],
      }),
  );
