import {initialShardOf, SLOTS} from '@pisync/contract/slots';
import type pg from 'pg';
import {type SlotMapRow} from './slot-map.ts';

/** Fills an empty slot map for a new region; a map that exists is never touched, whatever the number of shards is now. */
export const seedSlotMap = async (control: pg.Pool, shards: number): Promise<void> => {
  const slots = Array.from({length: SLOTS}, (_, slot) => slot);
  await control.query(
    `insert into control.slot_map (slot, shard)
     select slot, shard from unnest($1::smallint[], $2::smallint[]) as seed (slot, shard)
     where not exists (select from control.slot_map) on conflict (slot) do nothing`,
    [slots, slots.map((slot) => initialShardOf(slot, shards))],
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

/** Tells a new shard which slots are its own. Rows that exist are the truth and stay. */
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
};
