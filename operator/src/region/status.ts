import {type SpecProblem} from '../api/v1alpha1/guard.ts';
import {type Accepted} from '../api/v1alpha1/rule.ts';
import {type Condition, type Phase, type RegionStatus, type TierStatus} from '../api/v1alpha1/status.ts';
import {type Conclusion, type Next, type Outcome} from '../kube/controller.ts';
import {type KubeObject} from '../kube/object.ts';
import {cutText} from '../kube/text.ts';
import {fails, type Finding, holds} from './conditions/condition.ts';
import {findAll} from './conditions/conditions.ts';
import {
  deletingSummary,
  earlierSummary,
  incompleteSummary,
  failedSummary,
  forgottenSummary,
  invalidSummary,
  type State,
  stateOf,
  summaryOf,
  suspendedSummary,
} from './conditions/summary.ts';
import {addressOverdueInMs} from './conditions/route-ready.ts';
import {type RegionContext, type Release} from './context.ts';
import {unfulfilled} from './engines/volume-growth.ts';
import {claimsOf} from './engines/volume-claims.ts';
import {type IncompleteData} from './earlier-region.ts';
import {type Entrance} from './entrance.ts';
import {eventsOf} from './events.ts';
import {type RegionFacts} from './facts.ts';
import {schemeAt} from './gateway.ts';
import {covers, type HostAt, isSame, ledBy} from './entrances.ts';
import {handoverOf} from './handover.ts';
import {heldHosts, isHeld} from './host-taken.ts';
import {type Component, selectorOf, selectorText} from './labels.ts';
import {dataSettled, migrated, type Progress, type WorkloadProgress} from './progress.ts';
import {type Region} from './region.ts';
import {topologyOf} from './manifests/topology.ts';
import {joining} from './admission.ts';
import {waitingForRoom} from './connection-room.ts';
import {auxiliaryFailures, pendingOf, rewrittenOf} from './outcomes.ts';
import {type StandingRoute} from './standing-routes.ts';

/** What a pass ended with. */
interface Pass {
  readonly region: Region;
  readonly context: RegionContext;
  readonly progress: Progress;
  readonly told: RegionFacts;
  readonly entrance: Entrance;
  readonly outcome: Outcome;
  /** The routes that there are after it. */
  readonly routes: readonly StandingRoute[];
  readonly now: Date;
  readonly release: Release;
  readonly held: readonly {readonly component: string; readonly reason: string}[];
  readonly unread: string | undefined;
  readonly next: Next;
}

/**
 * Without empty objects and lists: the API server stores what an applier empties as null, which the definition then refuses, so the status could never be
 * written again. Absent means the same.
 */
const withoutEmpty = (status: RegionStatus): RegionStatus =>
  // Every field of a status is optional.
  Object.fromEntries(
    Object.entries(status).filter(([, value]) => typeof value !== 'object' || Object.keys(value).length > 0),
  );

const concluded = (region: Region, full: RegionStatus, outcome: Outcome, next: Next): Conclusion<RegionStatus> => {
  const status = withoutEmpty({...full, message: shortened(full.message ?? '')});
  return {status, events: eventsOf(region.status, status, outcome), next};
};

/** Far below what a condition may have, and more than anybody reads. */
const LONGEST_MESSAGE_BYTES = 4_096;

const shortened = (message: string): string => cutText(message, LONGEST_MESSAGE_BYTES);

/** Findings with their times: a time changes only when the status does. */
const timed = (region: Region, findings: readonly Finding[], now: Date, generation: number | undefined): Condition[] =>
  findings.map((finding) => {
    const before = region.status.conditions?.find(({type}) => type === finding.type);
    return {
      ...finding,
      message: shortened(finding.message),
      ...(generation === undefined ? {} : {observedGeneration: generation}),
      lastTransitionTime:
        before?.status === finding.status ? before.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, 'Z'),
    };
  });

const tierStatus = (context: RegionContext, component: Component, {live}: WorkloadProgress): TierStatus => ({
  replicas: live?.status.replicas ?? 0,
  ready: live?.status.readyReplicas ?? 0,
  updated: live?.status.updatedReplicas ?? 0,
  summary: `${live?.status.readyReplicas ?? 0}/${live?.spec.replicas ?? 0}`,
  selector: selectorText(selectorOf(context.name, component)),
});

const shardStatus = ({context, progress, told: {facts}}: Pass): NonNullable<RegionStatus['shards']> => {
  const topology = topologyOf(context);
  return [...topology.shards, ...topology.joining].map(({id, rw}) => {
    const admitted = id < context.admitted;
    const shard = progress.shards[id];
    const migration = progress.migrations[id]?.state;
    const ready = shard?.available === true;
    const volume = context.children.volume(context.names.shardVolume(id));
    const slots = facts?.shards.find((fact) => fact.id === id)?.slots;
    const phase = (): NonNullable<RegionStatus['shards']>[number]['phase'] => {
      if (shard?.live === undefined) return 'Pending';
      if (!ready) return 'Starting';
      if (migration === 'complete') return admitted ? 'Ready' : 'Joining';
      return migration === 'failed' || migration === 'replaced' ? 'Failed' : 'Migrating';
    };
    return {
      id,
      phase: phase(),
      admitted,
      ready,
      endpoint: `${rw.host}.${context.namespace}.svc:${rw.port}`,
      ...(volume?.size === undefined ? {} : {storage: volume.size}),
      ...(slots === undefined ? {} : {slots}),
      secretName: context.names.shard(id),
    };
  });
};

const brokerNodes = (context: RegionContext): NonNullable<RegionStatus['brokerNodes']> =>
  claimsOf(context, 'rabbitmq').map(({id, name}) => {
    const size = context.children.volume(name)?.size;
    return {id, ...(size === undefined ? {} : {storage: size})};
  });

/** What is the region's after a pass. `routes`: those that there are then. */
export const hostsAfter = ({held, wanted, taken}: Entrance, routes: readonly StandingRoute[]): readonly HostAt[] => {
  const free = wanted.filter(({name}) => taken.every((other) => other.name !== name));
  return heldHosts(held, free, routes);
};

/** Hosts of the region that lead here: the wanted one, or a former one while that does not, or is not known to. */
const endpoints = (
  {context, entrance, region, routes, now}: Pass,
  hosts: readonly HostAt[],
): NonNullable<RegionStatus['endpoints']> => {
  const {names, spec} = context;
  const {tls, gatewayRef} = spec.ingress;
  const urlOf = (name: string, before: string | undefined): string | undefined => {
    const wanted = entrance.wanted.find((one) => one.name === name)?.at;
    const standing = routes.filter(({manifest, isLeaving}) => manifest.metadata.name === name && !isLeaving);
    const former = handoverOf(context, name, now)?.former.kind;
    const kept = standing.filter(({manifest}) => manifest.kind === former);
    const led = (kept.length > 0 ? kept : standing)
      .flatMap(({manifest}) => ledBy(manifest))
      .filter((at) => hosts.some((has) => isSame(has, at)));
    const reached = led.find((at) => wanted !== undefined && covers(wanted, at));
    const host = (reached ?? led.find((at) => at.host === wanted?.host) ?? led[0])?.host;
    if (host === undefined) return undefined;
    const atGateway = gatewayRef && schemeAt(entrance.gateway, gatewayRef.sectionName, host);
    // What leads here by a former route, and at a Gateway that may not be read or does not answer for a moment, is reached as it was.
    const isUnknown = reached === undefined || (gatewayRef !== undefined && atGateway === undefined);
    if (isUnknown && before?.endsWith(`://${host}`) === true) return before;
    return `${atGateway ?? (tls.mode === 'Secret' ? 'https' : 'http')}://${host}`;
  };
  const before = region.status.endpoints;
  const [device, admin] = [urlOf(names.deviceApi, before?.device), urlOf(names.adminApi, before?.admin)];
  return {...(device === undefined ? {} : {device}), ...(admin === undefined ? {} : {admin})};
};

const phaseOf = ({progress, context}: Pass, state: State): Phase => {
  if (state.kind === 'works') return 'Ready';
  if (state.kind === 'stalled') return 'Degraded';
  if (context.hasWorked) return state.isUpdate ? 'Updating' : 'Degraded';
  if (progress.shards.every(({live}) => live === undefined)) return 'Pending';
  return dataSettled(progress) && !migrated(progress) ? 'Migrating' : 'Provisioning';
};

/** Whether the services of this version run and the keeper has looked, whatever keeps the region from being Ready: a route, for instance. */
const serves = ({progress, told}: Pass): boolean =>
  migrated(progress) && Object.values(progress.tiers).every(({settled}) => settled) && told.facts !== undefined;

const sooner = (next: Next, delayMs: number | undefined): Next =>
  delayMs === undefined || (next.kind === 'after' && next.delayMs <= delayMs) ? next : {kind: 'after', delayMs};

/** One reason a component, whatever the number of its objects that wait. */
const pendingChanges = (held: Pass['held']): NonNullable<RegionStatus['pendingChanges']> =>
  [
    ...new Map(
      held.toReversed().map(({component, reason}) => [component, {component, reason: shortened(reason)}] as const),
    ).values(),
  ].toReversed();

export const concludePass = (pass: Pass): Conclusion<RegionStatus> => {
  const {region, context, progress, told, entrance, outcome, routes, now, release, held, unread, next} = pass;
  const input = {region, now, context, progress, told, entrance, outcome, routes};
  const weighed = findAll(input);
  const findings = [holds('SpecValid', 'Valid', 'the spec keeps all rules'), ...weighed.map(({finding}) => finding)];
  const state = stateOf(input, weighed);
  const [ready, reconciling, stalled] = summaryOf(state);
  const works = state.kind === 'works';
  const hosts = hostsAfter(entrance, routes);
  const current = works || serves(pass) ? context.version : region.status.version?.current;
  const slotMoves = told.facts?.slotMoves;
  const {deviceApi, adminApi, workers} = progress.tiers;
  const status: RegionStatus = {
    observedGeneration: region.generation,
    phase: phaseOf(pass, state),
    message: ready.message,
    conditions: timed(region, [ready, reconciling, stalled, ...findings], now, region.generation),
    version: {...(current === undefined ? {} : {current}), target: context.version, operator: release.version},
    deviceApi: tierStatus(context, 'device-api', deviceApi),
    adminApi: tierStatus(context, 'admin-api', adminApi),
    workers: tierStatus(context, 'worker', workers),
    readyShards: `${progress.shards.filter(({available}) => available).length}/${progress.shards.length}`,
    shards: shardStatus(pass),
    brokerNodes: brokerNodes(context),
    endpoints: endpoints(pass, hosts),
    hosts: [...hosts],
    ...(slotMoves === undefined ? {} : {slotMoves}),
    pendingChanges: pendingChanges([
      ...held,
      ...joining(context, progress).map(({id, reason}) => ({component: `shard-${id}`, reason})),
      ...waitingForRoom(context, progress.scale, progress.shards.slice(0, progress.needed)),
      ...unfulfilled(context, outcome),
      ...[...auxiliaryFailures(outcome), ...rewrittenOf(outcome)].map(pendingOf),
      ...(unread === undefined ? [] : [{component: 'volumes', reason: unread}]),
    ]),
  };
  const again = state.kind === 'moving' ? sooner(next, state.lookAgainMs) : next;
  const route = status.conditions?.find(({type}) => type === 'RouteReady');
  return {
    ...concluded(region, status, outcome, sooner(again, addressOverdueInMs(route, now))),
    // Their routes wait for that.
    leadsOn: hosts.some((at) => !isHeld(entrance.held, at)),
  };
};

/** What was known about the parts stays as it was said, for the generation it was said about. */
const withSummary = (
  region: Region,
  phase: Phase,
  findings: readonly Finding[],
  outcome: Outcome,
  now: Date,
  next: Next = {kind: 'on-change'},
): Conclusion<RegionStatus> => {
  const failed = [...outcome.values()].flat().flatMap((item) => ('message' in item ? [item.message] : []))[0];
  const status: RegionStatus = {
    ...region.status,
    observedGeneration: region.generation,
    phase,
    message: [
      findings[0]?.message ?? '',
      ...(failed === undefined ? [] : [`deletionPolicy Retain could not be applied: ${failed}`]),
    ].join('; '),
    conditions: withOthers(region, timed(region, findings, now, region.generation)),
  };
  return concluded(region, status, outcome, next);
};

const withOthers = ({status}: Region, fresh: readonly Condition[]): Condition[] => [
  ...fresh,
  ...(status.conditions ?? []).filter(({type}) => !fresh.some((condition) => condition.type === type)),
];

/** Phases of a region that works, which nobody knows any more. */
const HOPEFUL: ReadonlySet<Phase> = new Set(['Ready', 'Updating']);

/** A pass ended in an error, of the API server's or ours: nothing is known of the region's state, nor of what was made of its last change. */
export const failedStatus = (region: Region, problem: string, now: Date): RegionStatus => {
  const {phase = 'Pending', observedGeneration} = region.status;
  const findings = failedSummary(problem);
  return withoutEmpty({
    ...region.status,
    phase: HOPEFUL.has(phase) ? 'Degraded' : phase,
    message: shortened(findings[0].message),
    conditions: withOthers(region, timed(region, findings, now, observedGeneration)),
  });
};

/** The spec breaks a rule: nothing was touched, and it will not be until the spec changes. */
export const concludeInvalid = (
  region: Region,
  problems: readonly SpecProblem[],
  before: Accepted | undefined,
  outcome: Outcome,
  now: Date,
): Conclusion<RegionStatus> => {
  const broken = problems.map(({path, message: problem}) => `${path}: ${problem}`).join('; ');
  // The object may be new, and the data of an earlier one: then nobody sees what it is compared with.
  const message =
    before !== undefined && problems.some(({transition}) => transition)
      ? `${broken}. The data under this name was made with ${JSON.stringify(before)}`
      : broken;
  const findings = [...invalidSummary(message), fails('SpecValid', 'InvalidSpec', message)];
  return withSummary(region, 'Invalid', findings, outcome, now);
};

/** What limits the spec cannot be read: nothing is touched until a person has looked at it. */
export const concludeForgotten = (
  region: Region,
  problem: string,
  outcome: Outcome,
  now: Date,
): Conclusion<RegionStatus> => withSummary(region, 'Invalid', forgottenSummary(problem), outcome, now);

interface Waiting extends Pick<Pass, 'region' | 'outcome' | 'now'> {
  /** What is the region's already. */
  readonly hosts: readonly HostAt[];
}

const notBegun = (
  {region, hosts, outcome, now}: Waiting,
  summary: readonly Finding[],
  next: Next,
): Conclusion<RegionStatus> =>
  withSummary({...region, status: {...region.status, hosts: [...hosts]}}, 'Pending', summary, outcome, now, next);

/** What is going with an earlier region of this name is still there, and the region has not begun. */
export const concludeBefore = ({
  going,
  overdueInMs,
  ...waiting
}: Waiting & {readonly going: readonly KubeObject[]; readonly overdueInMs: number}): Conclusion<RegionStatus> =>
  notBegun(
    waiting,
    earlierSummary(going.map(describeChild), overdueInMs === 0),
    overdueInMs > 0 ? {kind: 'after', delayMs: overdueInMs} : {kind: 'on-change'},
  );

/** A claim that a person makes need not have the labels by which the operator would hear of it. */
const MADE_BY_HAND_MS = 20_000;

/** Some volumes of an earlier region are there and others are not: nothing is made until a person has decided about them. */
export const concludeIncomplete = ({
  data: {left, missing},
  ...waiting
}: Waiting & {readonly data: IncompleteData}): Conclusion<RegionStatus> =>
  notBegun(waiting, incompleteSummary(left.map(describeChild), missing), {kind: 'after', delayMs: MADE_BY_HAND_MS});

/** Seen only while something holds the object: our finalizer or one of somebody else, or `kubectl delete --cascade=foreground`. */
export const concludeDeleting = (
  region: Region,
  atRisk: readonly KubeObject[],
  outcome: Outcome,
  now: Date,
): Conclusion<RegionStatus> =>
  withSummary(region, 'Deleting', deletingSummary(atRisk.map(describeChild)), outcome, now);

const describeChild = ({kind, metadata}: KubeObject): string => `${kind} ${metadata.name}`;

export const concludeSuspended = (region: Region, outcome: Outcome, now: Date): Conclusion<RegionStatus> =>
  withSummary(
    region,
    'Suspended',
    [...suspendedSummary(), holds('SpecValid', 'Valid', 'the spec keeps all rules')],
    outcome,
    now,
  );
