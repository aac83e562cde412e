import {type Desired, type Outcome} from '../kube/controller.ts';
import {type Manifest} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {KINDS} from './kinds.ts';

/** A route that there is after a pass. */
export interface StandingRoute {
  readonly manifest: Manifest;
  /** It is as the pass wanted it. What stays untouched may have been changed by whoever may write in the namespace. */
  readonly isWritten: boolean;
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
      if (end === 'deleted' || end === 'gone') return [];
      if (end === 'created' || end === 'configured' || end === 'unchanged') {
        const written = desired.find(({manifest}) => manifest.kind === kind.kind && manifest.metadata.name === name);
        return written === undefined ? [] : [{manifest: written.manifest, isWritten: true}];
      }
      const live = children.find(kind, name);
      return live === undefined ? [] : [{manifest: live, isWritten: false}];
    }),
  );
};
