import {MAX_SHARDS} from '@pisync/contract/limits';
import {KINDS} from './kinds.ts';
import {type Basis, type Surplus} from '../kube/controller.ts';
import {controllerOf, keyOf, refOf} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {type Progress} from './progress.ts';
import {type Region} from './region.ts';

/** Why a declared shard is not admitted yet; undefined when nothing is in its way. */
const obstacle = (
  {children, names}: RegionContext,
  {shards, migrations, tiers}: Progress,
  id: number,
): string | undefined => {
  const claim = names.shardVolume(id);
  if (children.volume(claim)?.deleting === true) return `claim ${claim}, which was deleted, is gone`;
  if (shards[id]?.settled !== true) return 'its database is up';
  if (migrations[id]?.state !== 'complete') return 'it has its schema';
  return Object.values(tiers).every(({settled}) => settled) ? undefined : 'every service has its credentials';
};

/**
 * How many shards are admitted from now on. It is written down before anybody acts on it: the topology lists a shard when a later pass reads it there
 * (accepted.ts), so a pass that dies in between has promised nothing.
 */
export const admissible = (context: RegionContext, progress: Progress): number => {
  const {admitted} = context;
  const {shards} = progress;
  if (admitted === 0) return shards.every(({settled}) => settled) ? shards.length : 0;
  const waits = shards.findIndex((_, id) => id >= admitted && obstacle(context, progress, id) !== undefined);
  return waits === -1 ? Math.max(shards.length, admitted) : waits;
};

/** What declared shards of a region that works still wait for. */
export const joining = (context: RegionContext, progress: Progress): readonly {id: number; reason: string}[] =>
  context.admitted === 0
    ? []
    : progress.shards.flatMap((_, id) =>
        id < context.admitted
          ? []
          : [{id, reason: `joins when ${obstacle(context, progress, id) ?? 'that is written down'}`}],
      );

/**
 * StatefulSets that are left of a growth that was taken back; what else there is of it goes as surplus. Claims follow the policy of their StatefulSet; the
 * Secret stays with the region, and opens what is retained.
 */
export const undone = (
  {children, names, namespace, spec, admitted}: RegionContext,
  {object}: Pick<Region, 'object'>,
): readonly Surplus[] => {
  const first = Math.max(spec.postgres.shards, admitted);
  // The one says how many shards are wished for, the other how many were admitted.
  const unchanged: readonly Basis[] = [
    {key: keyOf(object), version: object.metadata.resourceVersion},
    {
      key: {...KINDS.secret, namespace, name: names.bootstrap},
      version: children.find(KINDS.secret, names.bootstrap)?.metadata.resourceVersion,
    },
  ];
  return Array.from({length: MAX_SHARDS - first}, (_, index) => first + index).flatMap((id) => {
    const found = children.find(KINDS.statefulSet, names.shard(id));
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return [];
    return controllerOf(found)?.uid === object.metadata.uid ? [{ref: refOf(found), unchanged}] : [];
  });
};
