import {controllerOf, type KubeObject} from '../kube/object.ts';
import {type Children} from './children.ts';
import {dataClaims} from './data-claims.ts';
import {KINDS} from './kinds.ts';
import {namesOf} from './names.ts';
import {type Region} from './region.ts';
import {isExpiring, RELEASED} from './retention.ts';

/**
 * A region of this name was deleted and its data with it, but the garbage collector has not come to all of that yet. It does in seconds, in a large cluster in
 * minutes, and not while an aggregated API does not answer it. A new region that took some of it over would have a part of the earlier one's data.
 */

/** From then on that it is still there waits for a person. */
const PATIENCE_MS = 600_000;

/**
 * What has to be gone before the region begins: credentials, StatefulSets that take their claims along, the claims, Jobs, which say that such a claim has its
 * schema, and the saved slot map, with which an empty shard 0 begins, with the keeper that writes it. What holds no data is taken over or made again, whichever is first. Where the Secret stays
 * that every region with data has, that data stays as well.
 */
export const goingWithEarlier = (
  {name, spec, object}: Pick<Region, 'name' | 'spec' | 'object'>,
  children: Children,
): readonly KubeObject[] => {
  const isEarlier = (child: KubeObject): boolean => {
    const controller = controllerOf(child);
    return controller?.kind === object.kind && controller.name === name && controller.uid !== object.metadata.uid;
  };
  const names = namesOf(name);
  const bootstrap = children.find(KINDS.secret, names.bootstrap);
  if (bootstrap !== undefined && !isEarlier(bootstrap)) return [];
  const earlier = children.all.filter(isEarlier);
  const sets = earlier.filter((child) => child.kind === KINDS.statefulSet.kind && isExpiring(child));
  const lasting = children.all.filter((child) => child.kind === KINDS.statefulSet.kind && !sets.includes(child));
  const uids = new Set(lasting.map(({metadata}) => metadata.uid));
  return [
    ...sets,
    ...dataClaims(name, spec).flatMap((claim) => {
      const live = children.find(KINDS.volumeClaim, claim.name);
      const owner = live?.metadata.ownerReferences?.find(
        (one) => one.kind === KINDS.statefulSet.kind && one.name === claim.set,
      );
      return live === undefined || owner === undefined || uids.has(owner.uid) ? [] : [live];
    }),
    ...earlier.filter(
      ({kind, metadata}) =>
        RELEASED.has(kind) ||
        kind === KINDS.job.kind ||
        (kind === KINDS.configMap.kind && metadata.name === names.facts) ||
        (kind === KINDS.deployment.kind && metadata.name === names.keeper),
    ),
  ];
};

/** Counted from when the region was made: the earlier one was gone by then. */
export const earlierOverdueInMs = ({object: {metadata}}: Pick<Region, 'object'>, now: Date): number =>
  Math.max(0, Date.parse(metadata.creationTimestamp ?? '') + PATIENCE_MS - now.getTime());
