import {initialShardOf, SLOTS} from '@pisync/contract/slots';
import type pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {type KnownSlotMap} from './saved-slot-map.ts';
import {type SlotMapRow} from './slot-map.ts';

/**
 * Fills an empty slot map: of a new region, or, where a map was saved, of a shard 0 that is begun anew while the others have their slots. A map that exists is
 * never touched, whatever the number of shards is now.
 */
export const seedSlotMap = async (control: pg.Pool, shards: number, saved?: KnownSlotMap): Promise<void> => {
  const slots = Array.from({length: SLOTS}, (_, slot) => slot);
  await control.query(
    `insert into control.slot_map (slot, shard)
     select slot, shard from unnest($1::smallint[], $2::smallint[]) as seed (slot, shard)
     where not exists (select from control.slot_map) on conflict (slot) do nothing`,
    [slots, slots.map((slot) => saved?.shards[slot] ?? initialShardOf(slot, shards))],
  );
};

/** The whole slot map, or undefined while it is not there yet. */
export const readSlotMap = async (control: pg.Pool): Promise<readonly SlotMapRow[] | undefined> => {
  const present = await control.query<{present: boolean}>(
    `select to_regclass('control.slot_map') is not null as present`,
  );
  if (present.rows[0]?.present !== true) return undefined;
  const found = await control.query<SlotMapRow>('select slot, shard, epoch from control.slot_map order by slot');
  return found.rows.length === SLOTS ? found.rows : undefined;
};

/**
 * Tells a new shard which slots are its own. Rows that exist are the truth and stay.
 * @throws AppError `conflict` when they cannot be this region's: of a slot that has never moved, and that the map gives to the shard, they say that it never was here.
 */
export const seedSlotOwner = async (pool: pg.Pool, shardId: number, map: readonly SlotMapRow[]): Promise<void> => {
  await pool.query(
    `insert into slot_owner (slot, state, epoch)
     select * from unnest($1::smallint[], $2::text[], $3::bigint[]) on conflict (slot) do nothing`,
    [
      map.map(({slot}) => slot),
      map.map(({shard}) => (shard === shardId ? 'owned' : 'none')),
      map.map(({epoch}) => epoch),
    ],
  );
  // What has moved is between two shards for a while.
  const given = map.filter(({shard, epoch}) => shard === shardId && epoch === 0).map(({slot}) => slot);
  const found = await pool.query<{count: number}>(
    `select count(*)::int as count from slot_owner where slot = any($1::smallint[]) and state = 'none'`,
    [given],
  );
  const count = found.rows[0]?.count ?? 0;
  if (count === 0) return;
  throw new AppError(
    'conflict',
    `shard ${shardId} has a volume of something else: of ${count} slots that the slot map gives it, the volume says that they belong to another shard. Give it the volume that fits, or an empty one: see MigrationFailed in the runbook`,
  );
};
