import {isComplete} from '../children.ts';
import {type RegionContext} from '../context.ts';
import {type DataClaim} from '../data-claims.ts';
import {KINDS} from '../kinds.ts';
import {BROKER_VOLUMES, SHARD_VOLUMES, VOLUME} from '../labels.ts';
import {migrationJobs} from '../manifests/migration-job.ts';
import {claimsOf, isSetOurs} from './volume-claims.ts';

/**
 * Which volumes the region's data is on, written down on the bootstrap Secret: like the data it outlives the region, its StatefulSets and its Jobs. Another claim
 * of the same name is an empty volume, on which a shard or the broker starts as if there had never been anything.
 */

type Component = DataClaim['component'];

/** Who removes one of these accepts the volumes that there are. */
const ANNOTATIONS: Readonly<Record<Component, string>> = {postgres: SHARD_VOLUMES, rabbitmq: BROKER_VOLUMES};

interface KnownVolume {
  readonly id: number;
  /** Uid of the claim that counts; empty while none does. */
  readonly known: string;
  readonly now: string | undefined;
}

/** A shard's counts from when it has its schema, and the complete Job says which it was; the broker's from when it uses it. */
const firstVolume = (context: RegionContext, {component, id}: DataClaim, now: string | undefined): string => {
  if (component === 'rabbitmq') return now ?? '';
  const job = migrationJobs(context, id).find((object) => isComplete(context.children.doneBy(object)));
  return job === undefined ? '' : (job.metadata.annotations?.[VOLUME] ?? now ?? '');
};

/** A claim that is there before its StatefulSet may be another one by then: it counts from when that is the region's. */
const knownVolumes = (context: RegionContext, component: Component): readonly KnownVolume[] => {
  const {children, names} = context;
  const written =
    children.find(KINDS.secret, names.bootstrap)?.metadata.annotations?.[ANNOTATIONS[component]]?.split(',') ?? [];
  return claimsOf(context, component).map((claim) => {
    const now = isSetOurs(context, claim) ? children.volume(claim.name)?.uid : undefined;
    return {id: claim.id, known: written[claim.id] || firstVolume(context, claim, now), now};
  });
};

/** The annotations of the Secret. */
export const volumeAnnotations = (context: RegionContext): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (['postgres', 'rabbitmq'] as const).flatMap((component) => {
      const uids = knownVolumes(context, component).map(({known}) => known);
      return uids.every((uid) => uid === '') ? [] : [[ANNOTATIONS[component], uids.join(',')] as const];
    }),
  );

/** The shards or broker nodes that have another volume now than the one that counts. */
export const replacedVolumes = (context: RegionContext, component: Component): readonly number[] =>
  knownVolumes(context, component).flatMap(({id, known, now}) =>
    now !== undefined && known !== '' && now !== known ? [id] : [],
  );
