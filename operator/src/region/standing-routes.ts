import {type Desired, type Outcome} from '../kube/controller.ts';
import {type KubeObject, type Manifest} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {KINDS} from './kinds.ts';

/** It is being deleted, and leads here until whoever has a finalizer on it lets it go. */
export const isLeaving = ({metadata}: KubeObject): boolean => metadata.deletionTimestamp !== undefined;

export const leavingText = ({kind, metadata: {name, finalizers = []}}: KubeObject): string =>
  `${kind} ${name} waits until the former one is gone${finalizers.length === 0 ? '' : ` (finalizer ${finalizers.join(', ')})`}`;

/** A route that there is after a pass, as far as is known. */
export interface StandingRoute {
  readonly manifest: Manifest;
  /** It is no route to rely on any more. Whether it is gone by now is seen when it is looked at again. */
  readonly isLeaving: boolean;
}

export const standingRoutes = (
  {children, names}: RegionContext,
  desired: readonly Desired[],
  outcome: Outcome,
): readonly StandingRoute[] => {
  const outcomes = [...outcome.values()].flat();
  return [names.deviceApi, names.adminApi].flatMap((name) =>
    [KINDS.ingress, KINDS.httpRoute].flatMap((kind): readonly StandingRoute[] => {
      const end = outcomes.find(({key}) => key.kind === kind.kind && key.name === name)?.kind;
      if (end === 'created' || end === 'configured' || end === 'unchanged') {
        const written = desired.find(({manifest}) => manifest.kind === kind.kind && manifest.metadata.name === name);
        return written === undefined ? [] : [{manifest: written.manifest, isLeaving: false}];
      }
      const live = children.find(kind, name);
      return live === undefined
        ? []
        : [{manifest: live, isLeaving: end === 'deleted' || end === 'gone' || isLeaving(live)}];
    }),
  );
};
