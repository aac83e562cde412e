import {type RegionStatus, statusSchema, UNSEEN} from '../api/v1alpha1/status.ts';
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
  status: readable(object['status']),
});

/** The parts that can be read; somebody else, or a newer operator, may have written values that nobody here knows. They are written anew. */
const readable = (value: unknown): RegionStatus => {
  const found =
    typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : new Map<string, unknown>();
  if (found.get('observedGeneration') === UNSEEN) found.delete('observedGeneration');
  const parts = Object.entries(statusSchema.shape).map(([name, schema]) => {
    const part: unknown = found.get(name);
    const kept = Array.isArray(part) ? part.filter((item: unknown) => schema.safeParse([item]).success) : part;
    return [name, schema.safeParse(kept).data] as const;
  });
  return statusSchema.parse(Object.fromEntries(parts.filter(([, part]) => part !== undefined)));
};
