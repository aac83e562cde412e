import {MAX_SHARDS} from '@pisync/contract/limits';
import {KIND} from '../api/v1alpha1/group.ts';
import {type Kind} from '../kube/object.ts';
import {isComplete} from './children.ts';
import {type RegionContext} from './context.ts';
import {isMarked} from './labels.ts';

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

/**
 * Shards of growths that were taken back of which there is still an object of this kind and name, if it has to go with the region: under `Delete`. It bears
 * the region's marks and goes with nobody else: a claim of a StatefulSet that has just gone would stay if it had another owner.
 */
export const takenBack = (
  {children, name, spec}: RegionContext,
  kind: Kind,
  nameOf: (id: number) => string,
): readonly number[] =>
  spec.deletionPolicy === 'Retain'
    ? []
    : below(MAX_SHARDS).filter((id) => {
        const found = id < spec.postgres.shards ? undefined : children.find(kind, nameOf(id));
        if (found === undefined || found.metadata.deletionTimestamp !== undefined) return false;
        const {labels, ownerReferences = []} = found.metadata;
        return isMarked(name, labels) && ownerReferences.every((owner) => owner.kind === KIND && owner.name === name);
      });
