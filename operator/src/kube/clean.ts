import {type Identity} from './identity.ts';
import {ownedByOthers, type ManagedFields} from './managed-fields.ts';
import {type Kind, type KubeObject, namedControllerOf, type ServerMeta} from './object.ts';

/**
 * Items of a list lack apiVersion and kind; managedFields are most of an object's size, so of what we have applied or may
 * adopt only what others own is kept, which is nothing most of the time.
 */
export const clean = (
  object: KubeObject,
  kind: Kind,
  {manager, appliedAnnotation, adoptAnnotation}: Identity,
): KubeObject => {
  const {managedFields = [], ...metadata} = object.metadata as KubeObject['metadata'] & {
    readonly managedFields?: readonly ManagedFields[];
  };
  const {annotations = {}} = metadata;
  const matters = annotations[appliedAnnotation] !== undefined || annotations[adoptAnnotation] !== undefined;
  const foreign = matters ? ownedByOthers(managedFields, manager, kind.kind) : undefined;
  return {
    ...object,
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: foreign === undefined ? metadata : {...metadata, foreign},
  };
};

/**
 * Whose an object is, which is all that it takes to delete it, of a size that has a limit: labels and owners can be any number, and what owners are called of
 * any length. `kept`: names of labels.
 */
export const identityOf = (object: KubeObject, kept: readonly string[]): ServerMeta => {
  const {name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels = {}} = object.metadata;
  const controller = namedControllerOf(object);
  return {
    name,
    uid,
    resourceVersion,
    labels: Object.fromEntries(Object.entries(labels).filter(([label]) => kept.includes(label))),
    ...(namespace === undefined ? {} : {namespace}),
    ...(creationTimestamp === undefined ? {} : {creationTimestamp}),
    ...(deletionTimestamp === undefined ? {} : {deletionTimestamp}),
    ...(controller === undefined ? {} : {ownerReferences: [controller]}),
  };
};

/** Of an object that cannot be read: whose it is. */
export const unread = (object: KubeObject, {apiVersion, kind}: Kind, {resourceLabel}: Identity): KubeObject => ({
  apiVersion,
  kind,
  metadata: {...identityOf(object, [resourceLabel]), partial: true},
});
