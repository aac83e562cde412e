import {API_VERSION, KIND} from '../api/v1alpha1/group.ts';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type Clock} from '../kube/clock.ts';
import {type Controller, type WatchSpec} from '../kube/controller.ts';
import {type Release} from './context.ts';
import {FactsAges} from './facts.ts';
import {MissingPods} from './missing-pods.ts';
import {keepOf, regionOf} from './keep.ts';
import {KINDS, OPTIONAL} from './kinds.ts';
import {MANAGED_BY, MANAGER} from './labels.ts';
import {type Observed, observeRegion} from './observe.ts';
import {planRegion} from './plan.ts';
import {decodeRegion, type Region} from './region.ts';
import {RETAIN_DATA} from './retention.ts';
import {failedStatus} from './status.ts';

const watchesOf = (release: Release): readonly WatchSpec[] =>
  Object.values(KINDS).map((kind) => ({
    ...kind,
    labelSelector: `${MANAGED_BY}=${MANAGER}`,
    concerns: regionOf,
    keep: keepOf(kind, release),
    ...(OPTIONAL.has(kind.kind) ? {optional: true} : {}),
  }));

/** Turns PiSyncRegions into what they describe. */
export const regionController = (
  release: Release,
  clock: Pick<Clock, 'monotonicMs'>,
): Controller<Region, Observed, RegionStatus> => {
  const ages = {facts: new FactsAges(clock), missingPods: new MissingPods(clock)};
  return {
    resource: {apiVersion: API_VERSION, kind: KIND},
    finalizer: RETAIN_DATA,
    watches: watchesOf(release),
    decode: decodeRegion,
    observe: (region, cluster, signal) => observeRegion(region, cluster, ages, signal),
    plan: (observed, now) => planRegion(observed, now, release),
    failedStatus,
    // What is the region's is known by `hosts` alone. A definition from before them takes the summary.
    minimalStatuses: ({observedGeneration, phase, message, conditions, hosts}) => {
      const summary = {observedGeneration, phase, message, conditions};
      return [{...summary, hosts}, summary];
    },
  };
};
