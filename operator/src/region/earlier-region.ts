import {controllerOf, type KubeObject, type OwnerReference} from '../kube/object.ts';
import {type Children} from './children.ts';
import {dataClaims} from './data-claims.ts';
import {KINDS} from './kinds.ts';
import {isMarked} from './labels.ts';
import {isNameOf, namesOf} from './names.ts';
import {type Region} from './region.ts';
import {isExpiring, RELEASED} from './retention.ts';

/**
 * A region of this name was deleted and its data with it, but the garbage collector has not come to all of that yet. It does in seconds, in a large cluster in
 * minutes, and not while an aggregated API does not answer it. A new region that took some of it over would have a part of the earlier one's data.
 */

/** From then on that it is still there waits for a person. */
const PATIENCE_MS = 600_000;

const isSet = (kind: string): boolean => kind === KINDS.statefulSet.kind;

type Whose = Pick<Region, 'name' | 'object'>;

const isEarlier = ({name, object}: Whose, child: KubeObject): boolean => {
  const controller = controllerOf(child);
  return controller?.kind === object.kind && controller.name === name && controller.uid !== object.metadata.uid;
};

/** Something of the region itself is there, or of what an earlier one has left to it for good. */
const hasBegun = (region: Whose, children: Children): boolean => {
  const bootstrap = children.find(KINDS.secret, namesOf(region.name).bootstrap);
  const has = (child: KubeObject): boolean => !isEarlier(region, child);
  return (bootstrap !== undefined && has(bootstrap)) || children.all.some((child) => isSet(child.kind) && has(child));
};

/**
 * Of all shards that there may be: the spec may name more some day. A stranger's StatefulSet is no child, so his claims would seem to be left over; and what a
 * person has made for the region, without our marks, is what he wants it to be.
 */
const markedClaims = (name: string, children: Children): readonly KubeObject[] => {
  const names = namesOf(name);
  return children.all.filter(
    ({kind, metadata}) =>
      kind === KINDS.volumeClaim.kind && isMarked(name, metadata.labels) && isNameOf(names, kind, metadata.name),
  );
};

const setOf = ({metadata: {ownerReferences = []}}: KubeObject): OwnerReference | undefined =>
  ownerReferences.find(({kind}) => isSet(kind));

/**
 * What has to be gone before the region begins: credentials, StatefulSets that take their claims along, the claims, Jobs, which say that such a claim has its
 * schema, and the saved slot map, with which an empty shard 0 begins, with the keeper that writes it. What holds no data is taken over or made again, whichever is first. Where the Secret stays
 * that every region with data has, that data stays as well.
 */
export const goingWithEarlier = (region: Whose, children: Children): readonly KubeObject[] => {
  const names = namesOf(region.name);
  const bootstrap = children.find(KINDS.secret, names.bootstrap);
  if (bootstrap !== undefined && !isEarlier(region, bootstrap)) return [];
  const earlier = children.all.filter((child) => isEarlier(region, child));
  const sets = earlier.filter((child) => isSet(child.kind) && isExpiring(child));
  const lasting = children.all.filter((child) => isSet(child.kind) && !sets.includes(child));
  const uids = new Set(lasting.map(({metadata}) => metadata.uid));
  const begun = hasBegun(region, children);
  return [
    ...sets,
    ...markedClaims(region.name, children).filter((claim) => {
      const owner = setOf(claim);
      // Somebody deletes what stayed.
      if (owner === undefined) return !begun && claim.metadata.deletionTimestamp !== undefined;
      return !uids.has(owner.uid);
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

/** Volumes without others that they need. */
export interface IncompleteData {
  readonly left: readonly KubeObject[];
  /** Names of claims. */
  readonly missing: readonly string[];
}

/**
 * Volumes that stayed of an earlier region, whose Secret is gone, and with it what says which volumes belong together. With one for each shard the region is what that
 * one was. With fewer, empty shards would stand beside old ones, and give devices keys that the old ones have given already; and a broker that stayed
 * alone would bring batches of devices that are no more.
 */
export const incompleteData = (
  region: Pick<Region, 'name' | 'spec' | 'object'>,
  children: Children,
): IncompleteData | undefined => {
  if (hasBegun(region, children)) return undefined;
  // One that a StatefulSet owns goes with that.
  const left = markedClaims(region.name, children).filter((claim) => setOf(claim) === undefined);
  const missing = dataClaims(region.name, region.spec)
    .filter(({component}) => component === 'postgres')
    .flatMap(({name}) => (children.find(KINDS.volumeClaim, name) === undefined ? [name] : []));
  return left.length > 0 && missing.length > 0 ? {left, missing} : undefined;
};

/** Counted from when the region was made: the earlier one was gone by then. */
export const earlierOverdueInMs = ({object: {metadata}}: Pick<Region, 'object'>, now: Date): number =>
  Math.max(0, Date.parse(metadata.creationTimestamp ?? '') + PATIENCE_MS - now.getTime());
