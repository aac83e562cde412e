import {quantityBytes} from '../../api/v1alpha1/quantity.ts';
import {type Storage} from '../../api/v1alpha1/storage.ts';
import {type Desired} from '../../kube/controller.ts';
import {type Manifest} from '../../kube/object.ts';
import {type Volume, type Workload} from '../children.ts';
import {isChild, type RegionContext} from '../context.ts';
import {type DataClaim, dataClaims} from '../data-claims.ts';
import {KINDS} from '../kinds.ts';
import {KEPT, MANAGED_BY, MANAGER, selectorOf} from '../labels.ts';
import {DATA_VOLUME} from '../names.ts';
import {neededShards, takenBack} from '../shards.ts';

/** The volume claim template, and what becomes of claims when the set or a replica goes away. */
export const claims = (context: RegionContext, storage: Storage, selector: object, live: Workload | undefined) => {
  const made = live?.spec.volumeClaimTemplates[0];
  const annotations = made?.metadata.annotations ?? KEPT;
  return {
    persistentVolumeClaimRetentionPolicy: {
      whenDeleted: context.spec.deletionPolicy,
      whenScaled: 'Retain',
    },
    volumeClaimTemplates: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        // Immutable, so nothing in it may come from a field or a release that can change.
        metadata: {
          name: DATA_VOLUME,
          labels: {...selector, [MANAGED_BY]: MANAGER},
          ...(Object.keys(annotations).length === 0 ? {} : {annotations}),
        },
        spec: {
          accessModes: ['ReadWriteOnce'],
          // A set keeps the size it was made with, and its claims grow on their own.
          resources: {requests: {storage: made?.spec.resources.requests.storage ?? storage.size}},
          ...(storage.className === undefined ? {} : {storageClassName: storage.className}),
        },
      },
    ],
  };
};

/** The claims of one tier. */
export const claimsOf = ({name, spec}: RegionContext, component: DataClaim['component']): readonly DataClaim[] =>
  dataClaims(name, spec).filter((claim) => claim.component === component);

/** Bytes of the smallest volume of a tier: of what is there, which may never become what the spec wishes. */
export const smallestVolume = (context: RegionContext, component: DataClaim['component']): number =>
  Math.min(
    ...claimsOf(context, component).map(({name}) => {
      const volume = context.children.volume(name);
      return quantityBytes(volume?.size ?? volume?.requested ?? context.spec[component].storage.size);
    }),
  );

/**
 * What a claim should ask for, where that is not what it does. Only one that has its volume can grow. A wish that was not fulfilled can be lowered, from Kubernetes
 * 1.32 on and to more than there is; where the spec wants no more than that, the claim stays as it is.
 */
const requestOf = ({requested, size}: Volume, wished: string): string | undefined => {
  if (size === undefined) return undefined;
  const wish = quantityBytes(wished);
  const request = quantityBytes(requested);
  return wish > request || (wish < request && wish > quantityBytes(size)) ? wished : undefined;
};

/** One that was made by hand, from a backup for instance, has none of our labels, and without them we would not hear of it. */
const isMarked = ({labels, annotations}: Volume, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value) &&
  Object.entries(KEPT).every(([key, value]) => annotations[key] === value);

const shardOf = ({component, id}: Pick<DataClaim, 'component' | 'id'>): number | undefined =>
  component === 'postgres' ? id : undefined;

/** A claim is what its StatefulSet uses, so it is ours when that is: a stranger's of that name has a claim of that name, too. */
export const isSetOurs = (context: RegionContext, {set}: DataClaim): boolean =>
  isChild(context, {...KINDS.statefulSet, name: set});

/**
 * Claims that were deleted. Each stays, with what is on its volume, until the pod that uses it ends. On that of a joining shard there is no data, and it may be left of
 * a growth that was taken back.
 */
export const deletedClaims = (context: RegionContext): readonly DataClaim[] =>
  dataClaims(context.name, context.spec).filter(
    (claim) =>
      (shardOf(claim) ?? 0) < neededShards(context) &&
      context.children.volume(claim.name)?.deleting === true &&
      isSetOurs(context, claim),
  );

const marksOf = (
  {name}: RegionContext,
  claim: Pick<DataClaim, 'component' | 'id'>,
): Readonly<Record<string, string>> => ({
  ...selectorOf(name, claim.component, shardOf(claim)),
  [MANAGED_BY]: MANAGER,
});

/** What is ours of a claim. As in the claim template: other labels come and go with the spec, and nothing is written here then. */
const claimManifest = (
  context: RegionContext,
  claim: Pick<DataClaim, 'name' | 'component' | 'id'>,
  storage: string,
): Manifest => ({
  ...KINDS.volumeClaim,
  metadata: {
    name: claim.name,
    namespace: context.namespace,
    labels: marksOf(context, claim),
    annotations: KEPT,
  },
  // Said every time: what an applier does not repeat is removed.
  spec: {resources: {requests: {storage}}},
});

/** What is to be changed of the claims of one tier, which others make. One that is there before its StatefulSet waits for it. */
export const volumeClaims = (context: RegionContext, component: DataClaim['component']): readonly Desired[] =>
  claimsOf(context, component).flatMap((claim): readonly Desired[] => {
    const live = context.children.volume(claim.name);
    if (live === undefined || live.deleting || !isSetOurs(context, claim)) return [];
    const request = requestOf(live, context.spec[component].storage.size);
    // Its shard had been taken back: it went with the region, and is its StatefulSet's again.
    const isOfRegion = isChild(context, {...KINDS.volumeClaim, name: claim.name});
    if (request === undefined && !isOfRegion && isMarked(live, marksOf(context, claim))) return [];
    return [
      {
        manifest: claimManifest(context, claim, request ?? live.requested),
        ownership: 'none',
        // Under deletionPolicy Delete it is controlled by its StatefulSet, which is ours. Whoever made it, it is the volume.
        adopt: true,
        partial: true,
      },
    ];
  });

/** Claims of shards that were taken back under `Retain`, once `Delete` is wished for: no StatefulSet takes them along any more, so the region does. */
export const leftClaims = (context: RegionContext): readonly Desired[] =>
  takenBack(context, KINDS.volumeClaim, context.names.shardVolume).flatMap((id): readonly Desired[] => {
    const name = context.names.shardVolume(id);
    const live = context.children.volume(name);
    if (live === undefined || context.children.find(KINDS.statefulSet, context.names.shard(id)) !== undefined)
      return [];
    return [{manifest: claimManifest(context, {name, component: 'postgres', id}, live.requested), partial: true}];
  });
