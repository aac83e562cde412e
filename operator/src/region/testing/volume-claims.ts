import {MANAGED_BY, MANAGER, selectorOf} from '../labels.ts';
import {type SimulatedRegion} from './simulated-region.ts';

/** That of the first shard. */
export const CLAIM = 'data-eu-pg-0-0';

/** Those of the StatefulSet's template. */
export const labelsOf = (claim: string): Readonly<Record<string, string>> => {
  const shard = /-pg-(\d+)-/.exec(claim)?.[1];
  const labels = shard === undefined ? selectorOf('eu', 'rabbitmq') : selectorOf('eu', 'postgres', Number(shard));
  return {...labels, [MANAGED_BY]: MANAGER};
};

/** As the StatefulSet's controller makes it; `capacity` once a volume is bound to it. */
export const setClaim = (
  region: SimulatedRegion,
  uid: string,
  requested: string,
  capacity?: string,
  claim = CLAIM,
  more: object = {},
): void => {
  region.objects.set(`v1/PersistentVolumeClaim/sync/${claim}`, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name: claim, namespace: 'sync', uid, resourceVersion: '1', labels: labelsOf(claim)},
    spec: {resources: {requests: {storage: requested}}},
    status: capacity === undefined ? {phase: 'Pending'} : {phase: 'Bound', capacity: {storage: capacity}, ...more},
  });
};
