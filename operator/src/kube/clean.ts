import {type Identity} from './identity.ts';
import {ownedByOthers, type ManagedFields} from './managed-fields.ts';
import {type Kind, type KubeObject} from './object.ts';

/**
 * Items of a list lack apiVersion and kind, metadata-only ones have others; managedFields are most of an object's size, so of what we have applied or may
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

/** Of an object that cannot be read: whose it is. */
export const unread = ({metadata}: KubeObject, {apiVersion, kind}: Kind): KubeObject => {
  const {name, namespace, uid, resourceVersion, labels, ownerReferences} = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : {namespace}),
      uid,
      resourceVersion,
      ...(labels === undefined ? {} : {labels}),
      ...(ownerReferences === undefined ? {} : {ownerReferences}),
      partial: true,
    },
  };
};
