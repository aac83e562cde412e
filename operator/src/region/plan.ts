import {judge} from '../api/v1alpha1/guard.ts';
import {NOTHING_BEFORE} from '../api/v1alpha1/rule.ts';
import {type RegionStatus} from '../api/v1alpha1/status.ts';
import {type ComponentPlan, type Conclusion, type Outcome, type Plan} from '../kube/controller.ts';
import {keyOf, keyText} from '../kube/object.ts';
import {memoryOf} from './accepted.ts';
import {undone} from './admission.ts';
import {contextOf, type Release} from './context.ts';
import {earlierOverdueInMs, goingWithEarlier, incompleteData} from './earlier-region.ts';
import {judgeEntrance} from './entrance.ts';
import {type HostAt} from './entrances.ts';
import {factsExpireInMs, judgeFacts} from './facts.ts';
import {type Observed} from './observe.ts';
import * as parts from './parts.ts';
import {overdueInMs} from './problems.ts';
import {progressOf} from './progress.ts';
import {perishable, preserved} from './retention.ts';
import {standingRoutes} from './standing-routes.ts';
import {
  concludeBefore,
  concludeDeleting,
  concludeForgotten,
  concludeIncomplete,
  concludeInvalid,
  concludePass,
  concludeSuspended,
  hostsAfter,
} from './status.ts';
import {surplusOf} from './surplus.ts';

/** A region is made of these, in this order. To add something to regions, add a part. */
const PARTS: readonly parts.Part[] = [
  parts.credentials,
  parts.configuration,
  parts.database,
  parts.broker,
  parts.cache,
  parts.schema,
  parts.keeper,
  parts.worker,
  parts.deviceApi,
  parts.adminApi,
  parts.routes,
];

/** Nobody tells us when something can be read again. */
const UNREAD_RETRY_MS = 20_000;

/** What a region has before it begins: it asks for its hosts as any other one does, so that none goes to another region while it waits. */
const hostsMeanwhile = ({region, children, entrance}: Observed, now: Date, release: Release): readonly HostAt[] => {
  const verdict = judge(region.name, region.spec, NOTHING_BEFORE);
  if (verdict.kind === 'invalid' || verdict.spec.suspend) return entrance.own.hosts;
  const context = contextOf(region, verdict.spec, release, children, 0);
  return hostsAfter(judgeEntrance(entrance, context, now), []);
};

/** From what is seen to what should be written. Pure: the same observation at the same time gives the same plan. */
export const planRegion = (observed: Observed, now: Date, release: Release): Plan<RegionStatus> => {
  const {region, children, factsAgeMs} = observed;
  const atRisk = perishable(region, children);
  const finalizer = atRisk.length === 0 ? 'release' : 'keep';
  /** Nothing is touched but what the region's data needs to outlive it. */
  const untouched = (conclude: (outcome: Outcome) => Conclusion<RegionStatus>): Plan<RegionStatus> => ({
    components: [{name: 'retention', desired: preserved(atRisk)}],
    finalizer,
    conclude,
  });
  if (region.deleting) return untouched((outcome) => concludeDeleting(region, atRisk, outcome, now));

  const going = goingWithEarlier(region, children);
  if (going.length > 0) {
    const overdueInMs = earlierOverdueInMs(region, now);
    const hosts = hostsMeanwhile(observed, now, release);
    return untouched((outcome) => concludeBefore({region, going, hosts, overdueInMs, outcome, now}));
  }

  const memory = memoryOf(region, children);
  if (memory.kind === 'unreadable')
    return untouched((outcome) => concludeForgotten(region, memory.problem, outcome, now));
  const {before} = memory;
  const verdict = judge(region.name, region.spec, before);
  if (verdict.kind === 'invalid')
    return untouched((outcome) => concludeInvalid(region, verdict.problems, before.accepted, outcome, now));
  if (verdict.spec.suspend) return untouched((outcome) => concludeSuspended(region, outcome, now));
  const data = incompleteData(region, children);
  if (data !== undefined) {
    // It may be what seems to be missing.
    if (observed.unread !== undefined) throw new Error(observed.unread);
    const hosts = hostsMeanwhile(observed, now, release);
    return untouched((outcome) => concludeIncomplete({region, hosts, data, outcome, now}));
  }

  const context = contextOf(region, verdict.spec, release, children, before.admitted);
  const progress = progressOf(context);
  const told = judgeFacts(region.name, children, factsAgeMs);
  const entrance = judgeEntrance(observed.entrance, context, now);
  const built = PARTS.map(({name, build}) => ({name, ...build({context, progress, entrance, now})}));
  const components: readonly ComponentPlan[] = built.map(({name, wanted, surplus}) => ({
    name,
    desired: wanted.flatMap(({desired, hold, meanwhile}) => (hold === undefined ? desired : (meanwhile ?? []))),
    ...(surplus === undefined ? {} : {prune: surplus}),
  }));
  const wanted = built.flatMap((part) => part.wanted.map(({desired}) => desired));
  const written = new Set(components.flatMap(({desired}) => desired.map(({manifest}) => keyText(keyOf(manifest)))));
  /** What no part writes as it is to be, because it is not wanted any more. */
  const left = atRisk.filter((object) => !written.has(keyText(keyOf(object))));
  const lookAgainMs = [
    ...(observed.unread === undefined ? [] : [UNREAD_RETRY_MS]),
    ...built.flatMap((part) => part.lookAgainMs ?? []),
    ...factsExpireInMs(told, factsAgeMs),
    ...overdueInMs(children, now),
  ];
  return {
    components: [...components, {name: 'retention', desired: preserved(left)}],
    finalizer,
    // A StatefulSet that goes before its claims are let go of takes them along.
    surplus: [...(atRisk.length === 0 ? undone(context, region) : []), ...surplusOf(observed, context, wanted)],
    conclude: (outcome) =>
      concludePass({
        region,
        context,
        progress,
        told,
        entrance,
        outcome,
        routes: standingRoutes(
          context,
          components.flatMap(({desired}) => desired),
          outcome,
        ),
        now,
        release,
        held: built.flatMap(({name, wanted}) =>
          wanted.flatMap(({hold}) => (hold === undefined ? [] : [{component: name, reason: hold}])),
        ),
        unread: observed.unread,
        next: lookAgainMs.length === 0 ? {kind: 'on-change'} : {kind: 'after', delayMs: Math.min(...lookAgainMs)},
      }),
  };
};
