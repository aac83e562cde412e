import {type PartName} from '../api/v1alpha1/status.ts';
import {type Desired, type Surplus} from '../kube/controller.ts';
import {type Key, keyOf} from '../kube/object.ts';
import {isChild, type RegionContext} from './context.ts';
import {postgresConfigMap} from './engines/postgres-embedded/config.ts';
import {shardServices} from './engines/postgres-embedded/stateful-set.ts';
import {rabbitmqConfigMap} from './engines/rabbitmq-embedded/config.ts';
import {rabbitmqServices} from './engines/rabbitmq-embedded/stateful-set.ts';
import {redisConfigMap, redisService} from './engines/redis-embedded/deployment.ts';
import {withLiveTemplate} from './template.ts';
import {leftClaims, volumeClaims} from './engines/volume-claims.ts';
import {type Entrance} from './entrance.ts';
import {entranceText, leadsTo, type WantedHost} from './entrances.ts';
import {handoverOf} from './handover.ts';
import {anonymous, dataHold, held, onceOurs, serviceHold, type Wanted} from './holds.ts';
import {isHeld} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {autoscaler} from './manifests/autoscaler.ts';
import {disruptionBudget} from './manifests/disruption-budget.ts';
import {keeperAccess} from './manifests/keeper-access.ts';
import {
  migrationPolicy,
  postgresPolicy,
  rabbitmqPolicy,
  redisPolicy,
  servicePolicy,
} from './manifests/network-policy.ts';
import {isOfOtherClass, route} from './manifests/route.ts';
import {secrets} from './manifests/secrets.ts';
import {service} from './manifests/service.ts';
import {factsConfigMap, isTopologyWritten, topologyConfigMap} from './manifests/topology.ts';
import {SERVICE_PORT} from './names.ts';
import {type MigrationProgress, type Progress, type WorkloadProgress} from './progress.ts';
import {admissible} from './admission.ts';
import {shardIds} from './shards.ts';
import {isLeaving, leavingText} from './standing-routes.ts';

/** What one builder contributes. */
interface Contribution {
  readonly wanted: readonly Wanted[];
  /** To be deleted and made again, because it cannot be changed. */
  readonly surplus?: readonly Surplus[];
  /** Look again then, even if nothing happens. */
  readonly lookAgainMs?: number;
}

interface PartInput {
  readonly context: RegionContext;
  readonly progress: Progress;
  readonly entrance: Entrance;
  readonly now: Date;
}

export interface Part {
  readonly name: PartName;
  readonly build: (input: PartInput) => Contribution;
}

const now = (desired: readonly Desired[]): readonly Wanted[] => desired.map((item) => ({desired: item}));

/** Whoever connects to a data tier shows it the password, so it is not begun under Services of somebody else. */
const named = (desired: readonly Desired[]): readonly Key[] => desired.map(({manifest}) => keyOf(manifest));

const httpPort = {name: 'http', port: SERVICE_PORT, targetPort: 'http'};

export const credentials: Part = {
  name: 'credentials',
  build: ({context, progress}) => ({wanted: now(secrets(context, admissible(context, progress)))}),
};

export const configuration: Part = {
  name: 'configuration',
  build: ({context}) => ({
    wanted: now([
      topologyConfigMap(context),
      // Its keeper may write what it likes there, labels and owner too; the Role was made when it was ours.
      {...factsConfigMap(context), adopt: isChild(context, {...KINDS.role, name: context.names.keeper})},
      postgresConfigMap(context),
      rabbitmqConfigMap(context),
      redisConfigMap(context),
    ]),
  }),
};

export const database: Part = {
  name: 'database',
  build: ({context, progress}) => ({
    wanted: [
      ...now(postgresPolicy(context)),
      ...now(shardIds(context).flatMap((id) => shardServices(context, id))),
      ...now(volumeClaims(context, 'postgres')),
      ...now(leftClaims(context)),
      ...progress.shards.map((shard, id) =>
        onceOurs(context, held(shard, dataHold(progress, shard)), ...named(shardServices(context, id))),
      ),
    ],
  }),
};

export const broker: Part = {
  name: 'broker',
  build: ({context, progress}) => ({
    wanted: [
      ...now(rabbitmqPolicy(context)),
      ...now(rabbitmqServices(context)),
      ...now(volumeClaims(context, 'rabbitmq')),
      onceOurs(
        context,
        held(progress.broker, dataHold(progress, progress.broker)),
        ...named(rabbitmqServices(context)),
      ),
    ],
  }),
};

export const cache: Part = {
  name: 'cache',
  build: ({context, progress}) => ({
    wanted: [
      ...now(redisPolicy(context)),
      ...now([redisService(context)]),
      onceOurs(context, held(progress.cache, dataHold(progress, progress.cache)), ...named([redisService(context)])),
    ],
  }),
};

/** The cluster removes a failed Job a minute after it failed, by its own clock, and it is made again: what it failed on may be gone by then. */
const MIGRATION_RETRY_SECONDS = 60;

const removedLater = (desired: Desired): Desired => {
  const {manifest} = desired;
  const {spec} = manifest;
  const ttl = {ttlSecondsAfterFinished: MIGRATION_RETRY_SECONDS};
  return {...desired, manifest: {...manifest, spec: typeof spec === 'object' ? {...spec, ...ttl} : ttl}};
};

/** The first migration shares the slots out among the shards that are admitted, for good. */
const undecided = (context: RegionContext): string | undefined => {
  if (context.admitted === 0) return 'waits until all shards of the new region are up';
  return isTopologyWritten(context) ? undefined : 'waits until the topology is written';
};

/** A Job cannot be changed. A complete one has done its work, whatever it would be made like now; any other is made again. */
const wantedJob = (context: RegionContext, progress: Progress, migration: MigrationProgress): Wanted => {
  const {shardId, desired, live, written, configured, state, others} = migration;
  if (state === 'replaced') return {desired, hold: 'waits for a person to say what is on the new volume'};
  if (state === 'absent' || live === undefined) {
    if (live !== undefined || others.some(({complete}) => !complete)) return {desired, hold: 'is made again'};
    if (!configured) return {desired, hold: 'waits until its settings are written'};
    // Shard 0 has the slot map, which every other shard's migration reads.
    const isReady = progress.shards[0]?.settled === true && progress.shards[shardId]?.settled === true;
    const hold = isReady ? undecided(context) : 'waits until its shard is ready';
    return hold === undefined ? {desired} : {desired, hold};
  }
  if (state === 'complete') return {desired: written ? desired : withLiveTemplate(desired, live)};
  if (!written) return {desired, hold: 'is made again'};
  return {desired: state === 'failed' ? removedLater(desired) : desired};
};

/**
 * Complete Jobs of another image stay until every service runs with this one, so that the way back waits for nothing: that image may know none of the
 * newer schema, and its migration would fail. Of several there are two ways back: the last that every service ran with, which is the oldest, and the newest.
 * One that is at work ends first; one that was complete was so on a volume that is gone.
 */
const otherJobs = ({tiers}: Progress, {state, others}: MigrationProgress): readonly Wanted[] =>
  state === 'replaced' || (state === 'complete' && Object.values(tiers).every(({settled}) => settled))
    ? []
    : others
        .filter(({complete}) => complete)
        .filter((_, index, {length}) => index === 0 || index === length - 1)
        .map(({ref: {uid: _, name, namespace, ...kind}}) => ({
          desired: {manifest: {...kind, metadata: {name, ...(namespace === undefined ? {} : {namespace})}}},
          hold: `${name} stays until every service runs with the image that is wished for`,
        }));

export const schema: Part = {
  name: 'schema',
  build: ({context, progress}) => ({
    wanted: [
      ...now(migrationPolicy(context)),
      ...progress.migrations.map((migration) => wantedJob(context, progress, migration)),
      // Last, as the first that waits is the one that is told.
      ...progress.migrations.flatMap((migration) => otherJobs(progress, migration)),
    ],
    surplus: progress.migrations.flatMap(({desired, live, written, state}): readonly Surplus[] => {
      // What was complete was so on another volume.
      const isOver = state === 'replaced' || (!written && (state === 'running' || state === 'failed'));
      if (live === undefined || live.metadata.deletionTimestamp !== undefined || !isOver) return [];
      const ref = {...KINDS.job, namespace: context.namespace, name: desired.manifest.metadata.name};
      return [{ref: {...ref, uid: live.metadata.uid}}];
    }),
  }),
};

export const deviceApi: Part = {
  name: 'device-api',
  build: ({context, progress}) => {
    const {names, spec} = context;
    return {
      wanted: [
        ...now([service(context, names.deviceApi, 'device-api', [httpPort])]),
        ...now(servicePolicy(context, names.deviceApi, 'device-api', {servesTraffic: true})),
        ...now(disruptionBudget(context, names.deviceApi, 'device-api', spec.deviceApi)),
        held(progress.tiers.deviceApi, serviceHold(context, progress, progress.tiers.deviceApi)),
        ...withTarget(
          context,
          progress.tiers.deviceApi,
          autoscaler(context, names.deviceApi, 'device-api', progress.scale.deviceApi),
        ),
      ],
    };
  },
};

export const adminApi: Part = {
  name: 'admin-api',
  build: ({context, progress}) => {
    const {names, spec} = context;
    return {
      wanted: [
        ...now([service(context, names.adminApi, 'admin-api', [httpPort])]),
        ...now(servicePolicy(context, names.adminApi, 'admin-api', {servesTraffic: true})),
        ...now(disruptionBudget(context, names.adminApi, 'admin-api', spec.adminApi)),
        held(progress.tiers.adminApi, serviceHold(context, progress, progress.tiers.adminApi)),
        ...withTarget(
          context,
          progress.tiers.adminApi,
          autoscaler(context, names.adminApi, 'admin-api', progress.scale.adminApi),
        ),
      ],
    };
  },
};

export const worker: Part = {
  name: 'worker',
  build: ({context, progress}) => {
    const {names, spec} = context;
    return {
      wanted: [
        ...now(servicePolicy(context, names.worker, 'worker', {servesTraffic: false})),
        ...now(disruptionBudget(context, names.worker, 'worker', spec.workers)),
        held(progress.tiers.workers, serviceHold(context, progress, progress.tiers.workers)),
        ...withTarget(
          context,
          progress.tiers.workers,
          autoscaler(context, names.worker, 'worker', progress.scale.workers),
        ),
      ],
    };
  },
};

export const keeper: Part = {
  name: 'keeper',
  build: ({context, progress}) => {
    const {names} = context;
    const {account, role, binding} = keeperAccess(context);
    const {tiers} = progress;
    const pods = held(tiers.keeper, anonymous(context) ?? serviceHold(context, progress, tiers.keeper));
    return {
      wanted: [
        {desired: account},
        onceOurs(context, {desired: role}, {...KINDS.configMap, name: names.facts}),
        onceOurs(context, {desired: binding}, ...named([account, role])),
        ...now(servicePolicy(context, names.keeper, 'keeper', {servesTraffic: false})),
        onceOurs(context, pods, ...named([account, role, binding])),
      ],
    };
  },
};

/**
 * A host of another region gets no route here, nor one of which it is not written down yet that it is this region's. A route that there was stays as it was,
 * unless it leads to that very host of another region at that very entrance. An Ingress of another class goes, and what takes its place is made when it is gone.
 */
const wantedRoute = (
  context: RegionContext,
  wanted: WantedHost,
  {held: hosts, taken}: Entrance,
  missing: string | undefined,
): readonly Wanted[] => {
  const desired = route(context, wanted, hosts);
  const live = context.children.find(desired.manifest, wanted.name);
  const taker = taken.find(({name}) => name === wanted.name);
  if (taker === undefined) {
    if (!isHeld(hosts, wanted.at))
      return [{desired, hold: `waits until it is written down that host ${wanted.at.host} is the region's`}];
    if (live !== undefined && isLeaving(live)) return [{desired, hold: leavingText(live)}];
    if (live !== undefined && isOfOtherClass(context, live)) return [];
    return [
      onceOurs(context, missing === undefined ? {desired} : {desired, hold: missing}, {
        ...KINDS.service,
        name: wanted.name,
      }),
    ];
  }
  const {at, by} = taker;
  if (by === undefined) return [{desired, hold: `waits until the regions of namespace ${taker.unseen} are seen`}];
  if (live !== undefined && leadsTo(live, at)) return [];
  return [{desired, hold: `waits until region ${by} gives host ${at.host} at ${entranceText(at)} up`}];
};

/** Nobody tells us when the Secret comes, can be read, or another region gives the host up. */
const ROUTE_RETRY_MS = 20_000;

const withoutGatewayApi = (served: Entrance['gatewayApi']): string | undefined => {
  if (served.kind === 'unknown') return 'waits until the API server says whether it has the Gateway API';
  return served.value ? undefined : 'waits for the Gateway API, which this cluster does not have';
};

export const routes: Part = {
  name: 'routes',
  build: ({context, entrance, now: at}) => {
    const {gatewayApi, problem, doubt, wanted: hosts} = entrance;
    const missing = context.spec.ingress.gatewayRef === undefined ? undefined : withoutGatewayApi(gatewayApi);
    const handovers = hosts.flatMap(({name}) => handoverOf(context, name, at) ?? []);
    const retries = [
      ...(problem === undefined && doubt === undefined ? [] : [ROUTE_RETRY_MS]),
      ...handovers.flatMap(({lookAgainMs}) => lookAgainMs ?? []),
    ];
    return {
      wanted: [
        ...hosts.flatMap((wanted) => wantedRoute(context, wanted, entrance, missing)),
        ...handovers.map(({former: {apiVersion, kind, metadata}, reason}) => ({
          desired: {manifest: {apiVersion, kind, metadata: {name: metadata.name, namespace: context.namespace}}},
          hold: `${kind} ${metadata.name} ${reason}`,
        })),
      ],
      ...(retries.length === 0 ? {} : {lookAgainMs: Math.min(...retries)}),
    };
  },
};

/** An autoscaler without a target only complains, so it comes after it. */
const withTarget = (
  context: RegionContext,
  {desired: target}: WorkloadProgress,
  autoscalers: readonly Desired[],
): readonly Wanted[] => autoscalers.map((desired) => onceOurs(context, {desired}, ...named([target])));
