import {type Desired, type Surplus} from '../kube/controller.ts';
import {controllerOf, keyOf, keyText, type KubeObject, refOf} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {KINDS, NEVER_SURPLUS} from './kinds.ts';
import {isMigrationOf, isNameOf} from './names.ts';
import {type Observed} from './observe.ts';

/**
 * What is the region's and no longer wanted; also what an earlier region of this name has left (`kubectl delete --cascade=orphan`), as far as it bears a name that a region has for its kind.
 * What has our names comes first: what takes its place may wait for it, and of everything else there can be any number.
 */
export const surplusOf = (
  {region, children}: Observed,
  {name, namespace, names}: RegionContext,
  desired: readonly Desired[],
): readonly Surplus[] => {
  const keep = new Set(desired.map(({manifest}) => keyText({...keyOf(manifest), namespace})));
  const isOurs = ({kind, metadata}: KubeObject): boolean =>
    isNameOf(names, kind, metadata.name) || (kind === KINDS.job.kind && isMigrationOf(name, metadata.name));
  /** In this life of the region: what an earlier one controls, the garbage collector removes. */
  const mayGo = (object: KubeObject): boolean => {
    const controller = controllerOf(object);
    return controller === undefined ? isOurs(object) : controller.uid === region.object.metadata.uid;
  };
  return children.all
    .filter(
      (object) =>
        !NEVER_SURPLUS.has(object.kind) &&
        mayGo(object) &&
        object.metadata.deletionTimestamp === undefined &&
        !keep.has(keyText(keyOf(object))),
    )
    .toSorted((a, b) => Number(a.metadata.partial === true) - Number(b.metadata.partial === true))
    .map((object) => ({ref: refOf(object)}));
};
