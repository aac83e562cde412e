import {type Phase, type RegionStatus} from '../api/v1alpha1/status.ts';
import {type EventDraft, type Outcome} from '../kube/controller.ts';
import {ADDRESS_LOST} from './conditions/route-ready.ts';
import {describeKey} from '../kube/object.ts';
import {auxiliaryFailures, pendingOf, reasonOf as reasonOfFailure, REWRITTEN, rewrittenOf} from './outcomes.ts';

const statusOf = (status: RegionStatus, type: string): string | undefined =>
  status.conditions?.find((condition) => condition.type === type)?.status;

const messageOf = (status: RegionStatus, type: string): string =>
  status.conditions?.find((condition) => condition.type === type)?.message ?? '';

const reasonOf = (status: RegionStatus, type: string): string | undefined =>
  status.conditions?.find((condition) => condition.type === type)?.reason;

/** Phases of a region for which nothing is made. */
const WITHOUT_SHARDS: ReadonlySet<Phase> = new Set(['Invalid', 'Suspended', 'Deleting']);

/** What happened, told once: when something changes, not while it lasts. */
export const eventsOf = (before: RegionStatus, after: RegionStatus, outcome: Outcome): readonly EventDraft[] => {
  const becomes = (type: string, status: string): boolean =>
    statusOf(after, type) === status && statusOf(before, type) !== status;
  const events: EventDraft[] = [...outcome.values()].flat().flatMap((item): EventDraft[] =>
    'repaired' in item && item.repaired
      ? [
          {
            type: 'Normal',
            reason: 'Repaired',
            action: 'Repair',
            happened: true,
            note: `${describeKey(item.key)} was changed or deleted by somebody else; it is as it should be again`,
          },
        ]
      : [],
  );
  if (before.observedGeneration === undefined && !WITHOUT_SHARDS.has(after.phase ?? 'Invalid')) {
    events.push({
      type: 'Normal',
      reason: 'NoFailover',
      note: 'spec.postgres.engine is Embedded: a shard restarts by itself, but while its node is down nothing stands in for it',
    });
  }
  if (before.phase !== after.phase && after.phase === 'Deleting') {
    events.push({type: 'Normal', reason: 'Deleting', note: messageOf(after, 'Ready')});
    return events;
  }
  if (becomes('Ready', 'True')) events.push({type: 'Normal', reason: 'Ready', note: messageOf(after, 'Ready')});
  if (becomes('Ready', 'False') && statusOf(before, 'Ready') === 'True') {
    // A change that somebody asked for is no reason for alarm.
    const wished = after.phase === 'Updating' || before.observedGeneration !== after.observedGeneration;
    const note = messageOf(after, 'Ready');
    events.push(wished ? {type: 'Normal', reason: 'Updating', note} : {type: 'Warning', reason: 'NotReady', note});
  }
  const route = reasonOf(after, 'RouteReady');
  if ((route === 'CertificateExpires' || route === ADDRESS_LOST) && reasonOf(before, 'RouteReady') !== route) {
    events.push({type: 'Warning', reason: route, note: messageOf(after, 'RouteReady')});
  }
  const waiting = [
    ...auxiliaryFailures(outcome).map((failure) => ({reason: reasonOfFailure(failure), pending: pendingOf(failure)})),
    ...rewrittenOf(outcome).map((item) => ({reason: REWRITTEN, pending: pendingOf(item)})),
  ];
  for (const {reason, pending} of waiting) {
    if (before.pendingChanges?.some(({component}) => component === pending.component) === true) continue;
    events.push({type: 'Warning', reason, note: pending.reason});
  }
  // A change that does not get on was told as a change, and what is in its way should not wait until a person must act.
  if (before.phase === 'Updating' && after.phase === 'Degraded' && !becomes('Stalled', 'True')) {
    events.push({type: 'Warning', reason: reasonOf(after, 'Ready') ?? 'NotReady', note: messageOf(after, 'Ready')});
  }
  if (becomes('Stalled', 'True')) {
    events.push({type: 'Warning', reason: reasonOf(after, 'Stalled') ?? 'Stalled', note: messageOf(after, 'Stalled')});
  }
  if (before.phase !== after.phase && after.phase === 'Suspended') {
    events.push({type: 'Normal', reason: 'Suspended', note: messageOf(after, 'Ready')});
  }
  return events;
};
