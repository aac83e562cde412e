import {type RegionStatus, statusSchema} from '../api/v1alpha1/status.ts';
import {type KubeObject} from '../kube/object.ts';

/** A PiSyncRegion as the server has it; whether its spec is valid is for the plan to say. */
export interface Region {
  readonly object: KubeObject;
  readonly name: string;
  readonly namespace: string;
  readonly generation: number;
  readonly deleting: boolean;
  readonly spec: unknown;
  /** What was said about it last. */
  readonly status: RegionStatus;
}

export const decodeRegion = (object: KubeObject): Region => ({
  object,
  name: object.metadata.name,
  namespace: object.metadata.namespace ?? '',
  generation: object.metadata.generation ?? 0,
  deleting: object.metadata.deletionTimestamp !== undefined,
  spec: object['spec'],
  // A status that somebody else wrote counts as none: it is written anew.
  status: statusSchema.safeParse(object['status'] ?? {}).data ?? {},
});
