import {z} from 'zod';
import {KIND} from '../api/v1alpha1/group.ts';
import {specSchema} from '../api/v1alpha1/spec.ts';
import {type Desired} from '../kube/controller.ts';
import {controllerOf, type KubeObject, type Manifest, recordOf} from '../kube/object.ts';
import {type Children} from './children.ts';
import {KINDS} from './kinds.ts';
import {FORCE_DELETE, KEPT} from './labels.ts';
import {type Region} from './region.ts';

/**
 * `deletionPolicy: Retain` is a promise about data, so it is kept whatever else is the matter with a region: its template waits, it is suspended, its spec
 * breaks a rule. Until nothing of its data goes with the region any more a finalizer stands on it; never longer, so that a region of which the operator is
 * gone can be deleted.
 */
export const RETAIN_DATA = 'pisync.io/retain-data';

const policySchema = z.object({deletionPolicy: specSchema.shape.deletionPolicy});
const setSchema = z.object({
  spec: z.object({persistentVolumeClaimRetentionPolicy: z.object({whenDeleted: z.string()})}),
});

/** What the region itself may control: credentials, and claims of shards that were taken back. */
export const RELEASED: ReadonlySet<string> = new Set([KINDS.secret.kind, KINDS.volumeClaim.kind]);

/** Whether its claims go with it. */
export const isExpiring = (set: KubeObject): boolean =>
  setSchema.safeParse(set).data?.spec.persistentVolumeClaimRetentionPolicy.whenDeleted === 'Delete';

/** Whether its data is to outlive the region. */
export const isRetained = ({object: {metadata}, spec}: Pick<Region, 'object' | 'spec'>): boolean =>
  policySchema.safeParse(spec).data?.deletionPolicy === 'Retain' &&
  (metadata.annotations?.[FORCE_DELETE] === undefined || metadata.deletionTimestamp === undefined);

/**
 * What the garbage collector would take with the region although its spec says Retain: Secrets, StatefulSets and claims without one to be changed, and claims
 * that their StatefulSet's controller has not let go of yet. What is being deleted already is out of reach.
 */
export const perishable = (region: Pick<Region, 'object' | 'spec'>, children: Children): readonly KubeObject[] => {
  if (!isRetained(region)) return [];
  const {object} = region;
  const lasting = children.all.filter(({metadata}) => metadata.deletionTimestamp === undefined);
  const owned = lasting.filter((child) => controllerOf(child)?.uid === object.metadata.uid);
  const sets = owned.filter(({kind}) => kind === KINDS.statefulSet.kind);
  const setUids = new Set(sets.map(({metadata}) => metadata.uid));
  return [
    ...owned.filter(({kind, metadata}) => RELEASED.has(kind) && metadata.partial !== true),
    ...sets.filter(isExpiring),
    ...lasting.filter(
      ({kind, metadata}) =>
        kind === KINDS.volumeClaim.kind && metadata.ownerReferences?.some(({uid}) => setUids.has(uid)) === true,
    ),
  ];
};

/** What has to be written so that it stays: each object as it is, but for that. */
export const preserved = (objects: readonly KubeObject[]): readonly Desired[] =>
  objects.flatMap((object): readonly Desired[] => {
    if (object.kind === KINDS.statefulSet.kind) return [{manifest: withRetain(object)}];
    if (object.kind === KINDS.volumeClaim.kind) {
      const {resources} = recordOf(object['spec']);
      return controllerOf(object)?.kind === KIND
        ? [{manifest: {...bare(object, KEPT), spec: {resources}}, ownership: 'none', partial: true}]
        : [];
    }
    // What was generated stays with the writer that made it, and is not ours to apply.
    return object.kind === KINDS.secret.kind
      ? [{manifest: {...bare(object, KEPT), ...usernameOf(object)}, generated: {}, ownership: 'none'}]
      : [];
  });

const bare = ({apiVersion, kind, metadata}: KubeObject, more: Readonly<Record<string, string>> = {}): Manifest => {
  const {name, namespace = '', labels = {}, annotations} = metadata;
  return {apiVersion, kind, metadata: {name, namespace, labels, annotations: {...annotations, ...more}}};
};

const withRetain = (set: KubeObject): Manifest => ({
  ...bare(set),
  spec: {...recordOf(set['spec']), persistentVolumeClaimRetentionPolicy: {whenDeleted: 'Retain', whenScaled: 'Retain'}},
});

const usernameOf = ({type, data}: KubeObject): Readonly<Record<string, unknown>> => {
  const {username} = recordOf(data);
  return {type, ...(username === undefined ? {} : {data: {username}})};
};
