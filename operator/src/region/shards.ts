import {isComplete} from './children.ts';
import {type RegionContext} from './context.ts';

/**
 * A shard is declared, comes up, gets its schema, and is then admitted: only now services use it, and only now it has come to stay. Shards are admitted in
 * the order of their numbers, so one number says which. In a new region all declared shards are admitted together when they are up, because the first
 * migration shares the slots out among those that are admitted.
 */

const below = (count: number): readonly number[] => Array.from({length: count}, (_, id) => id);

/** Numbers of the declared shards, in order. */
export const shardIds = ({spec}: RegionContext): readonly number[] => below(spec.postgres.shards);

/** How many shards the region cannot do without: those that were admitted; in a new region all. */
export const neededShards = ({spec, admitted}: RegionContext): number =>
  admitted === 0 ? spec.postgres.shards : admitted;

/** The shards whose credentials services have: a new one's from the time that it has its schema, so that one that never starts restarts nobody. */
export const mountedShardIds = (context: RegionContext): readonly number[] => {
  const {children, names} = context;
  const needed = neededShards(context);
  const isMigrated = (id: number): boolean => isComplete(children.job(names.migration(id)));
  const missing = shardIds(context).find((id) => id >= needed && !isMigrated(id));
  return below(missing ?? context.spec.postgres.shards);
};
