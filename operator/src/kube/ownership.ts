import {type Desired} from './controller.ts';
import {MANAGED_BY, type Identity} from './identity.ts';
import {controllerOf, type KubeObject, type Manifest, type ObjectRef} from './object.ts';

/** The manifest with our signature: labels, the hash annotation and, unless the object outlives its owner, the ownerReference. */
export const signed = (desired: Desired, owner: ObjectRef, identity: Identity, hash: string): Manifest => {
  const {manifest} = desired;
  const {labels, annotations, ...metadata} = manifest.metadata;
  return {
    ...manifest,
    metadata: {
      ...metadata,
      labels: {...labels, [MANAGED_BY]: identity.manager, [identity.resourceLabel]: owner.name},
      annotations: {...annotations, [identity.appliedAnnotation]: hash},
      ...(desired.ownership === 'none'
        ? {}
        : {
            ownerReferences: [
              {
                apiVersion: owner.apiVersion,
                kind: owner.kind,
                name: owner.name,
                uid: owner.uid,
                controller: true,
                blockOwnerDeletion: true,
              },
            ],
          }),
    },
  };
};

/** Why an existing object is not ours to change; undefined if it is ours or may be adopted. */
export const strangerOf = (
  live: KubeObject,
  desired: Desired,
  owner: ObjectRef,
  identity: Identity,
): string | undefined => {
  const controller = controllerOf(live);
  if (controller?.uid === owner.uid) return undefined;
  if (desired.adopt === true || live.metadata.annotations?.[identity.adoptAnnotation] === owner.name) return undefined;
  const advice = `rename or delete it, or annotate it ${identity.adoptAnnotation}=${owner.name} to have it taken over`;
  // An owner of our name and kind in an earlier life: the garbage collector is about to take the object away, or it was orphaned.
  if (controller !== undefined && !(controller.kind === owner.kind && controller.name === owner.name)) {
    return `exists and is controlled by ${controller.kind} ${controller.name}: ${advice}`;
  }
  const labels = live.metadata.labels ?? {};
  const manager = labels[MANAGED_BY];
  if (manager !== identity.manager) {
    return `exists and is managed by ${manager ?? 'somebody else'}: ${advice}`;
  }
  const resource = labels[identity.resourceLabel];
  return resource === owner.name ? undefined : `exists and belongs to ${resource ?? 'no resource'}: ${advice}`;
};
