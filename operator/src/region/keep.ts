import {z} from 'zod';
import {identityOf} from '../kube/clean.ts';
import {type Keep} from '../kube/controller.ts';
import {type KubeObject, namedControllerOf} from '../kube/object.ts';
import {jobPart} from './children.ts';
import {type Release, serviceImage} from './context.ts';
import {type ChildKind, KINDS} from './kinds.ts';
import {INSTANCE, OWN_LABELS, VOLUME} from './labels.ts';
import {isMigrationOf, isNameOf, namesOf} from './names.ts';
import {podPart} from './problems.ts';

/** The region that an object belongs to. Pods, claims and retained Secrets have no ownerReference to it, but its name on them. */
export const regionOf = (object: KubeObject) => {
  const name = object.metadata.labels?.[INSTANCE] ?? namedControllerOf(object)?.name;
  const {namespace} = object.metadata;
  return name === undefined || namespace === undefined ? [] : [{namespace, name}];
};

/** Of a spec that need not be valid. */
const imagesSchema = z.object({
  version: z.string().optional(),
  images: z.object({service: z.string().optional(), registry: z.string().optional()}).default({}),
});

const imageOf = (region: KubeObject, release: Release): string =>
  serviceImage(imagesSchema.safeParse(region['spec']).data ?? {images: {}}, release);

/**
 * What is kept of the objects of a kind: of those that a region makes everything, because they are compared with what they should be; of pods how they are; of
 * migration Jobs for other images what they have done.
 */
export const keepOf = (kind: ChildKind, release: Release): Keep => ({
  isWhole: (object, find) =>
    regionOf(object).some((name) => {
      const region = find(name);
      if (region === undefined) return false;
      return isNameOf(namesOf(name.name, imageOf(region, release)), kind.kind, object.metadata.name);
    }),
  part: (object) => {
    const metadata = identityOf(object, OWN_LABELS);
    if (kind === KINDS.pod) return {...kind, metadata, ...podPart(object)};
    const isMigration =
      kind === KINDS.job && regionOf(object).some(({name}) => isMigrationOf(name, object.metadata.name));
    return isMigration ? jobPart({...object, ...kind}, metadata, VOLUME) : {...kind, metadata};
  },
});
