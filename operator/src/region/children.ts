import {z} from 'zod';
import {quantityBytes} from '../api/v1alpha1/quantity.ts';
import {controllerOf, type Kind, type KubeObject} from '../kube/object.ts';
import {KINDS} from './kinds.ts';

/** What exists of a region, by kind and name, each kind in the few fields that decisions are made from. */
export class Children {
  /** Also what bears none of the region's names, of which little more is known than whose it is (keep.ts). */
  readonly all: readonly KubeObject[];
  readonly #whole: readonly KubeObject[];
  readonly #withoutPodsMs: ReadonlyMap<string, number>;
  readonly #byName: ReadonlyMap<string, KubeObject>;
  /** By kind and label, then by its value; made when it is asked for. */
  readonly #byLabel = new Map<string, ReadonlyMap<string | undefined, readonly KubeObject[]>>();
  #byUid: ReadonlyMap<string, KubeObject> | undefined;
  #withPods: ReadonlySet<string | undefined> | undefined;
  readonly #workload = remembered(workload);
  readonly #job = remembered(job);
  readonly #volumeClaim = remembered(volumeClaim);

  /** `withoutPodsMs`: for how long StatefulSets have lacked pods (missing-pods.ts), for ever where it does not say. */
  constructor(objects: readonly KubeObject[], withoutPodsMs: ReadonlyMap<string, number> = new Map()) {
    this.all = objects;
    this.#withoutPodsMs = withoutPodsMs;
    this.#whole = objects.filter(({metadata}) => metadata.partial !== true);
    this.#byName = new Map(
      this.#whole.map((object) => [`${object.apiVersion}/${object.kind}/${object.metadata.name}`, object]),
    );
  }

  /** Also those of which only a part is kept. */
  labelled({kind}: Kind, label: string, value: string): readonly KubeObject[] {
    const index = `${kind}/${label}`;
    const known = this.#byLabel.get(index);
    if (known !== undefined) return known.get(value) ?? [];
    const found = Map.groupBy(
      this.all.filter((object) => object.kind === kind),
      ({metadata}) => metadata.labels?.[label],
    );
    this.#byLabel.set(index, found);
    return found.get(value) ?? [];
  }

  find(kind: Kind, name: string): KubeObject | undefined {
    return this.#byName.get(`${kind.apiVersion}/${kind.kind}/${name}`);
  }

  /** Also one of which only a part is kept. */
  withUid(uid: string): KubeObject | undefined {
    this.#byUid ??= new Map(this.all.map((object) => [object.metadata.uid, object]));
    return this.#byUid.get(uid);
  }

  /** Whether there are pods that it controls. */
  hasPods(uid: string): boolean {
    this.#withPods ??= new Set(
      this.all.filter(({kind}) => kind === KINDS.pod.kind).map((pod) => controllerOf(pod)?.uid),
    );
    return this.#withPods.has(uid);
  }

  workload(kind: Kind, name: string): Workload | undefined {
    return this.#workload(this.find(kind, name));
  }

  /** Whether a StatefulSet has fewer pods than it wants, by what its controller last saw. */
  lacksPods(name: string): boolean {
    const live = this.workload(KINDS.statefulSet, name);
    if (live === undefined || live.status.observedGeneration < live.metadata.generation) return false;
    return live.status.replicas < live.spec.replicas;
  }

  lacksPodsForMs(name: string): number | undefined {
    return this.lacksPods(name) ? (this.#withoutPodsMs.get(name) ?? Infinity) : undefined;
  }

  job(name: string): Job | undefined {
    return this.#job(this.find(KINDS.job, name));
  }

  /** What a migration Job has done, also one for another image, of which no more is kept. */
  doneBy(object: KubeObject | undefined): Job | undefined {
    return this.#job(object);
  }

  /** The decoded values of a Secret. */
  secret(name: string): Readonly<Record<string, string>> | undefined {
    const data = parsed(secret, this.find(KINDS.secret, name))?.data;
    return (
      data &&
      Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
    );
  }

  /** What a pod reads of a Secret. People may keep more in it, which is no reason to restart one. */
  secretValues(name: string, keys: readonly string[]): Readonly<Record<string, string>> | undefined {
    const all = this.secret(name);
    return all && Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key)));
  }

  configMap(name: string): Readonly<Record<string, string>> | undefined {
    return parsed(configMap, this.find(KINDS.configMap, name))?.data;
  }

  volume(name: string): Volume | undefined {
    const claim = this.#volumeClaim(this.find(KINDS.volumeClaim, name));
    if (claim === undefined) return undefined;
    const {metadata, spec, status} = claim;
    const requested = spec.resources.requests.storage;
    // A claim that lost its volume has still the size of what it lost.
    const capacity = status.phase === 'Bound' ? status.capacity.storage : undefined;
    return {
      uid: metadata.uid,
      labels: metadata.labels,
      annotations: metadata.annotations,
      deleting: metadata.deletionTimestamp !== undefined,
      requested,
      size: capacity === undefined || quantityBytes(capacity) < quantityBytes(requested) ? capacity : requested,
      className: spec.storageClassName,
      conditions: status.conditions,
      resize: status.allocatedResourceStatuses.storage,
    };
  }
}

/** An object of an unexpected shape counts as absent: whoever asks then waits instead of deciding on nonsense. */
const parsed = <T>(schema: z.ZodType<T>, object: KubeObject | undefined): T | undefined =>
  object === undefined ? undefined : schema.safeParse(object).data;

/** A plan asks for the same object many times. */
const remembered = <T>(schema: z.ZodType<T>): ((object: KubeObject | undefined) => T | undefined) => {
  const known = new Map<KubeObject | undefined, T | undefined>();
  return (object) => {
    if (!known.has(object)) known.set(object, parsed(schema, object));
    return known.get(object);
  };
};

const count = z.int().default(0);
const annotations = z.record(z.string(), z.string()).default({});

/** A time that the server has. Who knows none writes `null` as often as nothing. */
export const timeSchema = z
  .string()
  .nullish()
  .transform((time) => time ?? undefined);

/** Others add to the lists of a status what they like: an item of an unexpected shape is left out, and takes nothing else along. */
export const listOf = <T>(item: z.ZodType<T>) =>
  z
    .array(z.unknown())
    .default([])
    .transform((items): T[] =>
      items.flatMap((value) => {
        const found = item.safeParse(value);
        return found.success ? [found.data] : [];
      }),
    );

export const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTransitionTime: timeSchema,
});

export type ChildCondition = z.output<typeof conditionSchema>;
export const conditionsSchema = listOf(conditionSchema);

const template = z.record(z.string(), z.unknown()).default({});

const workload = z.object({
  metadata: z.object({uid: z.string(), generation: z.int().default(0), annotations}),
  spec: z.object({
    template,
    replicas: z.int().default(1),
    volumeClaimTemplates: z
      .array(
        z.object({
          metadata: z.object({annotations}).prefault({}),
          spec: z.object({resources: z.object({requests: z.object({storage: z.string()})})}),
        }),
      )
      .default([]),
  }),
  status: z
    .object({
      observedGeneration: count,
      replicas: count,
      readyReplicas: count,
      updatedReplicas: count,
      availableReplicas: count,
      currentRevision: z.string().optional(),
      updateRevision: z.string().optional(),
      conditions: conditionsSchema,
    })
    .prefault({}),
});
export type Workload = z.output<typeof workload>;

const job = z.object({
  metadata: z.object({annotations, uid: z.string(), deletionTimestamp: timeSchema}),
  spec: z.object({template}).prefault({}),
  status: z.object({conditions: conditionsSchema}).prefault({}),
});
export type Job = z.output<typeof job>;

/** Longer ones are not ours. */
const LONGEST_VOLUME = 64;

/** What is kept of a migration Job for another image: whether it has ended, and the annotation `note`, which names the volume. */
export const jobPart = (object: KubeObject, metadata: KubeObject['metadata'], note: string): KubeObject => {
  const live = parsed(job, object);
  const volume = live?.metadata.annotations[note];
  const conditions = ['Complete', 'Failed'].flatMap((type) => (jobHas(live, type) ? [{type, status: 'True'}] : []));
  const annotations = volume !== undefined && volume.length <= LONGEST_VOLUME ? {[note]: volume} : {};
  return {...KINDS.job, metadata: {...metadata, annotations}, status: {conditions}};
};

const jobHas = (live: Job | undefined, type: string): boolean =>
  live?.status.conditions.some((condition) => condition.type === type && condition.status === 'True') === true;

export const isComplete = (live: Job | undefined): boolean => jobHas(live, 'Complete');
export const isFailed = (live: Job | undefined): boolean => jobHas(live, 'Failed');

const secret = z.object({data: z.record(z.string(), z.string()).default({})});
const configMap = z.object({data: z.record(z.string(), z.string()).default({})});
const volumeClaim = z.object({
  metadata: z.object({
    uid: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations,
    deletionTimestamp: timeSchema,
  }),
  spec: z.object({
    resources: z.object({requests: z.object({storage: z.string()})}),
    storageClassName: z.string().optional(),
  }),
  status: z
    .object({
      phase: z.string().default('Pending'),
      capacity: z.object({storage: z.string().optional()}).default({}),
      conditions: conditionsSchema,
      allocatedResourceStatuses: z.object({storage: z.string().optional()}).default({}),
    })
    .prefault({}),
});

/** A volume claim; sizes as Kubernetes writes them, e.g. `10Gi`. */
export interface Volume {
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly deleting: boolean;
  /** What the claim asks for. */
  readonly requested: string;
  /**
   * What there is of it. A driver may give more than it was asked for, from a disk that others share: that does not count. Absent while no volume is bound to
   * the claim.
   */
  readonly size: string | undefined;
  /** Absent while the cluster has no default class. */
  readonly className: string | undefined;
  readonly conditions: readonly ChildCondition[];
  /** How far a growth is, e.g. `NodeResizePending`. */
  readonly resize: string | undefined;
}
