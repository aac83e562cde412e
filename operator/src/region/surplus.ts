import {type Desired, type Surplus} from '../kube/controller.ts';
import {controllerOf, type Key, keyOf, keyText, type KubeObject, refOf} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {KINDS} from './kinds.ts';
import {type Observed} from './observe.ts';

/**
 * Never removed for not being wanted: what opens data, what holds it, and what Kubernetes ties it to. A StatefulSet takes its claims with it, so only a shard
 * that was never used loses its own (admission.ts).
 */
const KEPT: ReadonlySet<string> = new Set(
  [KINDS.secret, KINDS.volumeClaim, KINDS.statefulSet, KINDS.pod].map(({kind}) => kind),
);

const ROUTES: ReadonlySet<string> = new Set([KINDS.ingress.kind, KINDS.httpRoute.kind]);

/** A host is routed by an Ingress or an HTTPRoute of the same name. */
const successorOf = ({kind, metadata}: KubeObject, wanted: readonly Key[]): Key | undefined =>
  ROUTES.has(kind) ? wanted.find((key) => ROUTES.has(key.kind) && key.name === metadata.name) : undefined;

/** What is the region's and no longer wanted; also what an earlier region of this name has left (`kubectl delete --cascade=orphan`), as far as it bears one of our names. */
export const surplusOf = (
  {region, children}: Observed,
  {namespace, names}: RegionContext,
  desired: readonly Desired[],
): readonly Surplus[] => {
  const wanted = desired.map(({manifest}): Key => ({...keyOf(manifest), namespace}));
  const keep = new Set(wanted.map(keyText));
  const ours = new Set(Object.values(names).filter((name) => typeof name === 'string'));
  /** In this life of the region: what an earlier one controls, the garbage collector removes. */
  const mayGo = (object: KubeObject): boolean => {
    const controller = controllerOf(object);
    return controller === undefined ? ours.has(object.metadata.name) : controller.uid === region.object.metadata.uid;
  };
  return children.all
    .filter(
      (object) =>
        !KEPT.has(object.kind) &&
        mayGo(object) &&
        object.metadata.deletionTimestamp === undefined &&
        !keep.has(keyText(keyOf(object))),
    )
    .map((object) => {
      const replacedBy = successorOf(object, wanted);
      return {ref: refOf(object), ...(replacedBy === undefined ? {} : {replacedBy})};
    });
};
