import {type Keep} from '../kube/controller.ts';
import {controllerOf, type Kind, type KubeObject} from '../kube/object.ts';
import {KINDS} from './kinds.ts';
import {INSTANCE, ownLabelsOf} from './labels.ts';
import {isNameOf} from './names.ts';
import {podPart} from './problems.ts';

/** The region that an object belongs to. Pods, claims and retained Secrets have no ownerReference to it, but its name on them. */
export const regionOf = (object: KubeObject) => {
  const name = object.metadata.labels?.[INSTANCE] ?? controllerOf(object)?.name;
  const {namespace} = object.metadata;
  return name === undefined || namespace === undefined ? [] : [{namespace, name}];
};

/** Whose an object is, which is all that it takes to delete it. Labels and owners can be any number, and most are nobody's here. */
const identityOf = (object: KubeObject): KubeObject['metadata'] => {
  const {name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels = {}} = object.metadata;
  const controller = controllerOf(object);
  return {
    name,
    uid,
    resourceVersion,
    labels: ownLabelsOf(labels),
    ...(namespace === undefined ? {} : {namespace}),
    ...(creationTimestamp === undefined ? {} : {creationTimestamp}),
    ...(deletionTimestamp === undefined ? {} : {deletionTimestamp}),
    ...(controller === undefined ? {} : {ownerReferences: [controller]}),
  };
};

/** What is kept of the objects of a kind: of those that a region makes everything, because they are compared with what they should be; of pods how they are. */
export const keepOf = (kind: Kind): Keep => ({
  isWhole: (object, isKnown) =>
    kind !== KINDS.pod &&
    regionOf(object).some((region) => isKnown(region) && isNameOf(region.name, object.metadata.name)),
  part: (object) => ({...kind, metadata: identityOf(object), ...(kind === KINDS.pod ? podPart(object) : {})}),
});
