import {type FieldSet} from './managed-fields.ts';

/**
 * Kubernetes objects as the raw JSON that the API server sends: typed models lose fields they do not know and microseconds of
 * timestamps, so the engine has none. What a kind's `spec` means is the controller's business.
 */

/** The kind of an object and the group/version through which it is spoken to, e.g. `apps/v1` `Deployment`. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Names one object. `namespace` is absent for cluster-scoped kinds. */
export interface Key extends Kind {
  readonly namespace?: string;
  readonly name: string;
}

/** Names one object in one life: a deleted and re-created object has another uid. */
export interface ObjectRef extends Key {
  readonly uid: string;
}

export interface OwnerReference extends Kind {
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

/** Metadata that only the server writes. */
export interface ServerMeta extends ObjectMeta {
  readonly uid: string;
  readonly resourceVersion: string;
  /** Absent on kinds without a spec, such as ConfigMap and Secret. */
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  /** Only a part of the object is kept (`Keep` in controller.ts). */
  readonly partial?: true;
  /** Made on the way in from `managedFields`, of objects that we have applied: the fields that others own; absent when there are none. */
  readonly foreign?: FieldSet;
}

/** An object as we want it: what goes into server-side apply. Fields besides these are the kind's own (`spec`, `data`, ...). */
export interface Manifest extends Kind {
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** An object as the server has it. Of `managedFields` only `metadata.foreign` is kept. */
export interface KubeObject extends Kind {
  readonly metadata: ServerMeta;
  readonly [field: string]: unknown;
}

export const keyOf = (object: Kind & {readonly metadata: ObjectMeta}): Key => {
  const {apiVersion, kind, metadata} = object;
  return metadata.namespace === undefined
    ? {apiVersion, kind, name: metadata.name}
    : {apiVersion, kind, namespace: metadata.namespace, name: metadata.name};
};

export const refOf = (object: KubeObject): ObjectRef => ({...keyOf(object), uid: object.metadata.uid});

/** One text per key, for maps: `apps/v1/Deployment/shop/web`. Injective, because none of the parts but the group/version may hold a slash. */
export const keyText = (key: Key): string => `${key.apiVersion}/${key.kind}/${key.namespace ?? ''}/${key.name}`;

/** For people: `Deployment shop/web`. */
export const describeKey = (key: Key): string =>
  `${key.kind} ${key.namespace === undefined ? '' : `${key.namespace}/`}${key.name}`;

/** The owner that runs this object (`ownerReferences` entry with `controller: true`), if any. */
export const controllerOf = (object: {readonly metadata: ObjectMeta}): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((reference) => reference.controller === true);

/** Of an object; kinds, versions and uids are shorter. */
const LONGEST_NAME = 253;

/** Whether anything can be called so. The server takes references of any length, also to what cannot exist. */
export const isName = (text: string): boolean => text.length <= LONGEST_NAME;

/** {@link controllerOf}, if there can be such an owner, and no more of the reference than who it is. */
export const namedControllerOf = (object: {readonly metadata: ObjectMeta}): OwnerReference | undefined => {
  const controller = controllerOf(object);
  if (controller === undefined) return undefined;
  const {apiVersion, kind, name, uid} = controller;
  return [apiVersion, kind, name, uid].every(isName) ? {apiVersion, kind, name, uid, controller: true} : undefined;
};

/** The fields of a part of an object, whatever it is; none of what is not a map. */
export const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? {...value} : {};
