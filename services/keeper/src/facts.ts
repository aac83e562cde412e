import {type Facts} from '@pisync/contract/facts';
import {schemaVersion} from '@pisync/core/shards/migrate';
import {type Shards} from '@pisync/core/shards/shards';

interface OwnerCounts {
  readonly owned: number;
  readonly importing: number;
}

/** Asks every shard what it owns. @throws when one does not answer: half the facts would be told as the whole. */
export const gatherFacts = async (shards: Shards): Promise<Facts> => {
  const found = await Promise.all(
    shards.ids().map(async (id) => {
      const pool = shards.pool(id, 'job');
      const version = await schemaVersion(pool);
      if (version === 0) return {id, slots: 0, importing: 0, schemaVersion: 0};
      const counts = await pool.query<OwnerCounts>(
        `select count(*) filter (where state = 'owned') as owned, count(*) filter (where state = 'importing') as importing
         from slot_owner`,
      );
      return {id, slots: counts.rows[0]?.owned ?? 0, importing: counts.rows[0]?.importing ?? 0, schemaVersion: version};
    }),
  );
  const moving = found.reduce((sum, {importing}) => sum + importing, 0);
  return {
    shards: found.map(({id, slots, schemaVersion: version}) => ({id, slots, schemaVersion: version})),
    slotMoves: {total: moving, done: 0, moving},
  };
};
