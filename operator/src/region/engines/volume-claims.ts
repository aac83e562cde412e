import {quantityBytes} from '../../api/v1alpha1/quantity.ts';
import {type Storage} from '../../api/v1alpha1/storage.ts';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {labelsOf, MANAGED_BY, MANAGER} from '../labels.ts';
import {DATA_VOLUME} from '../names.ts';

/** The volume claim template, and what becomes of claims when the set or a replica goes away. */
export const claims = (context: RegionContext, storage: Storage, selector: object, live: string | undefined) => ({
  persistentVolumeClaimRetentionPolicy: {
    whenDeleted: context.spec.deletionPolicy,
    whenScaled: 'Retain',
  },
  volumeClaimTemplates: [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      // Immutable, so nothing in it may come from a field that can change.
      metadata: {name: DATA_VOLUME, labels: {...selector, [MANAGED_BY]: MANAGER}},
      spec: {
        accessModes: ['ReadWriteOnce'],
        // Immutable: a set keeps the size it was made with, and its claims grow on their own.
        resources: {requests: {storage: live ?? storage.size}},
        ...(storage.className === undefined ? {} : {storageClassName: storage.className}),
      },
    },
  ],
});

/** Why a volume is not as large yet as its claim: the driver, or a file system that waits for its pod to start again. */
export const growing = ({children}: RegionContext, claim: string): string | undefined => {
  const live = children.volume(claim);
  return live?.capacity === undefined || quantityBytes(live.capacity) >= quantityBytes(live.requested)
    ? undefined
    : `volume of claim ${claim} grows from ${live.capacity} to ${live.requested}`;
};

/** A claim that is smaller than the spec says, with its new size. */
export const grownVolume = (
  context: RegionContext,
  claim: string,
  size: string,
  options: {readonly component: 'postgres' | 'rabbitmq'; readonly shardId?: number},
): readonly Desired[] => {
  const live = context.children.volume(claim);
  // Only a claim that has its volume can grow.
  if (live?.capacity === undefined || quantityBytes(live.requested) >= quantityBytes(size)) return [];
  return [
    {
      manifest: {
        ...KINDS.volumeClaim,
        metadata: {
          name: claim,
          namespace: context.namespace,
          labels: labelsOf(context, options.component, options.shardId),
        },
        spec: {resources: {requests: {storage: size}}},
      },
      ownership: 'none',
      // Under deletionPolicy Delete it is controlled by its StatefulSet, which is ours. Another object of this name would be the shard's volume as well.
      adopt: true,
      partial: true,
    },
  ];
};
