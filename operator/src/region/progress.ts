import {type StatelessTier} from '../api/v1alpha1/tiers.ts';
import {type Desired} from '../kube/controller.ts';
import {type ObjectRef, refOf} from '../kube/object.ts';
import {isComplete, isFailed, type Job, type Workload} from './children.ts';
import {type RegionContext} from './context.ts';
import {isWritten} from './template.ts';
import {type ScaledTiers, tiersWithin} from './connection-room.ts';
import {postgresConfigMap} from './engines/postgres-embedded/config.ts';
import {shardStatefulSet} from './engines/postgres-embedded/stateful-set.ts';
import {type DataClaim} from './data-claims.ts';
import {replacedVolumes} from './engines/known-volumes.ts';
import {rabbitmqConfigMap} from './engines/rabbitmq-embedded/config.ts';
import {rabbitmqStatefulSet} from './engines/rabbitmq-embedded/stateful-set.ts';
import {redisConfigMap, redisDeployment} from './engines/redis-embedded/deployment.ts';
import {deletedClaims} from './engines/volume-claims.ts';
import {KINDS} from './kinds.ts';
import {REVISION, ROLLED_OUT, SERVED, VOLUME} from './labels.ts';
import {floorOf} from './manifests/autoscaler.ts';
import {adminApiDeployment, deviceApiDeployment, keeperDeployment, workerDeployment} from './manifests/deployment.ts';
import {migrationJob, otherJobs} from './manifests/migration-job.ts';
import {neededSecrets} from './manifests/secrets.ts';
import {topologyConfigMap} from './manifests/topology.ts';
import {isInForce} from './settings.ts';
import {neededShards, shardIds} from './shards.ts';

/** Of a live template: `passed` when it has rolled out once, so that whatever is away now is away for another reason; `open` when only one before it has. */
type Trial = 'passed' | 'open' | 'unknown';

/** How far a workload is: what it should be, what it is, and what follows from comparing them. */
export interface WorkloadProgress {
  readonly desired: Desired;
  readonly live: Workload | undefined;
  /** Its template is on the server as it should be. */
  readonly written: boolean;
  /** The server has the ConfigMap that its pods start with as it should be. */
  readonly configured: boolean;
  /** At least as many pods serve as are needed. */
  readonly available: boolean;
  /** The last template, wished for or not, has reached every pod, and all that are needed serve. */
  readonly rolledOut: boolean;
  /** As many serve as were needed before more were wished for. */
  readonly isGrowing: boolean;
  /** Between two templates: its only pod may be away. */
  readonly rolling: boolean;
  /** Kubernetes has given up waiting for the pods of the last template. */
  readonly isOverdue: boolean;
  /** Known not to serve as it did: down, or between two templates. Another template takes nothing away that is there. */
  readonly disturbed: boolean;
  readonly trial: Trial;
  /** Written and rolled out: what depends on it may go on. */
  readonly settled: boolean;
}

/** `replaced`: it was complete, but the shard has another volume since, and nobody but a person knows what is on that. */
type MigrationState = 'absent' | 'running' | 'failed' | 'complete' | 'replaced';

export interface MigrationProgress {
  readonly shardId: number;
  readonly desired: Desired;
  readonly live: Job | undefined;
  /** It is on the server as it should be; one that is at work also for the volume that the shard has now. */
  readonly written: boolean;
  readonly configured: boolean;
  readonly state: MigrationState;
  /** Jobs of other images for this shard, the oldest first. */
  readonly others: readonly {readonly ref: ObjectRef; readonly complete: boolean}[];
}

/** Where a region is between nothing and running. Decisions (plan.ts) and descriptions (status.ts) are both made from it. */
export interface Progress {
  /** Credentials and server settings exist, so that what mounts them can start. */
  readonly prepared: boolean;
  /** How many of the shards everything else needs; the others are still joining. */
  readonly needed: number;
  readonly shards: readonly WorkloadProgress[];
  readonly broker: WorkloadProgress;
  readonly cache: WorkloadProgress;
  /** Volume claims that go when their pods end. */
  readonly deletedClaims: readonly DataClaim[];
  readonly migrations: readonly MigrationProgress[];
  /** The spec's tiers, with no more pods than the shards have room for now. */
  readonly scale: ScaledTiers;
  readonly tiers: {
    readonly deviceApi: WorkloadProgress;
    readonly adminApi: WorkloadProgress;
    readonly workers: WorkloadProgress;
    readonly keeper: WorkloadProgress;
  };
}

const isObserved = ({metadata, status}: Workload): boolean => status.observedGeneration >= metadata.generation;

/** Written down beside the template when it is seen, because a pod that is away does not tell for how long its template has been there. */
const trialOf = (
  live: Workload | undefined,
  rolledOut: boolean,
): {readonly passed: string | undefined; readonly trial: Trial} => {
  const last = live?.metadata.annotations[REVISION];
  const passed = rolledOut ? last : live?.metadata.annotations[ROLLED_OUT];
  if (rolledOut) return {passed, trial: 'passed'};
  if (passed === undefined) return {passed, trial: 'unknown'};
  return {passed, trial: passed === last ? 'passed' : 'open'};
};

const statefulProgress = (context: RegionContext, desired: Desired, configured: boolean): WorkloadProgress => {
  const live = context.children.workload(KINDS.statefulSet, desired.manifest.metadata.name);
  const written = isWritten(desired, live);
  const available = live !== undefined && live.status.readyReplicas >= live.spec.replicas;
  const isUniform = live === undefined || live.status.updateRevision === live.status.currentRevision;
  const rolledOut = live !== undefined && available && isUniform && isObserved(live);
  const {passed, trial} = trialOf(live, rolledOut);
  return {
    desired: annotated(desired, {[ROLLED_OUT]: passed}),
    live,
    written,
    configured,
    available,
    rolledOut,
    isGrowing: false,
    rolling: live !== undefined && !(isUniform && isObserved(live)),
    isOverdue: false,
    disturbed: live !== undefined && !(available && isUniform),
    trial,
    settled: written && rolledOut,
  };
};

/**
 * A Deployment's report may be older than its spec: then what it says of new pods says nothing. Once the pods of a template were seen to have replaced all
 * others, that is written down beside it, because from then on a new generation is an autoscaler's other number, which is no update.
 */
const deploymentProgress = (
  context: RegionContext,
  desired: Desired,
  configured: boolean,
  floor: number,
): WorkloadProgress => {
  const live = context.children.workload(KINDS.deployment, desired.manifest.metadata.name);
  const written = isWritten(desired, live);
  const available = live !== undefined && live.status.availableReplicas >= floor;
  const isUniform = live !== undefined && live.status.updatedReplicas >= live.status.replicas;
  const last = live?.metadata.annotations[REVISION];
  const seen = live?.metadata.annotations[ROLLED_OUT];
  const rolledOut = live !== undefined && available && isUniform && (isObserved(live) || seen === last);
  const {passed, trial} = trialOf(live, rolledOut);
  const served = available ? floor : Number(live?.metadata.annotations[SERVED] ?? 0);
  return {
    desired: annotated(desired, {[ROLLED_OUT]: passed, [SERVED]: String(served)}),
    live,
    written,
    configured,
    available,
    rolledOut,
    isGrowing: live !== undefined && !available && served > 0 && live.status.availableReplicas >= served,
    rolling: live !== undefined && seen !== last,
    isOverdue:
      live !== undefined &&
      isObserved(live) &&
      live.status.conditions.some(({type, status}) => type === 'Progressing' && status === 'False'),
    disturbed: live !== undefined && (live.status.availableReplicas === 0 || !isUniform),
    trial,
    settled: written && rolledOut,
  };
};

const annotated = (desired: Desired, notes: Readonly<Record<string, string | undefined>>): Desired => {
  const {manifest} = desired;
  const known = Object.entries(notes).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const annotations = {...manifest.metadata.annotations, ...Object.fromEntries(known)};
  return {...desired, manifest: {...manifest, metadata: {...manifest.metadata, annotations}}};
};

/** Both are unknown at times, which says nothing. */
const isOfVolume = ({children, names}: RegionContext, shardId: number, live: Job | undefined): boolean => {
  const made = live?.metadata.annotations[VOLUME];
  const now = children.volume(names.shardVolume(shardId))?.uid;
  return made === undefined || now === undefined || made === now;
};

const migrationProgress = (
  context: RegionContext,
  shardId: number,
  configured: boolean,
  replaced: readonly number[],
): MigrationProgress => {
  const desired = migrationJob(context, shardId);
  const live = context.children.job(desired.manifest.metadata.name);
  const stateOf = (): MigrationState => {
    if (replaced.includes(shardId)) return 'replaced';
    if (live === undefined || live.metadata.deletionTimestamp !== undefined) return 'absent';
    if (isComplete(live)) return 'complete';
    return isFailed(live) ? 'failed' : 'running';
  };
  const state = stateOf();
  // What began on another volume would be noted as the migration of that when it ends.
  const written = isWritten(desired, live) && (state === 'complete' || isOfVolume(context, shardId, live));
  const others = otherJobs(context, shardId).map((object) => {
    const complete = isComplete(context.children.doneBy(object));
    return {ref: refOf(object), complete};
  });
  return {shardId, desired, live, written, configured, state, others};
};

export const progressOf = (context: RegionContext): Progress => {
  const {children, names, spec} = context;
  const postgres = postgresConfigMap(context);
  const hasPostgres = isInForce(context, postgres);
  const replaced = replacedVolumes(context, 'postgres');
  const hasTopology = isInForce(context, topologyConfigMap(context));
  const tier = (desired: Desired, of: StatelessTier): WorkloadProgress =>
    deploymentProgress(context, desired, hasTopology, floorOf(of));
  const needed = neededShards(context);
  const shards = shardIds(context).map((id) =>
    statefulProgress(context, shardStatefulSet(context, id, postgres), hasPostgres),
  );
  const scale = tiersWithin(context, shards.slice(0, needed));
  const scaled = {...context, spec: {...spec, ...scale}};
  return {
    prepared:
      neededSecrets(context).every((name) => children.secret(name) !== undefined) &&
      [names.topology, names.postgres, names.rabbitmq, names.redis].every(
        (name) => children.configMap(name) !== undefined,
      ),
    needed,
    shards,
    broker: statefulProgress(context, rabbitmqStatefulSet(context), isInForce(context, rabbitmqConfigMap(context))),
    cache: deploymentProgress(context, redisDeployment(context), isInForce(context, redisConfigMap(context)), 1),
    deletedClaims: deletedClaims(context),
    migrations: shardIds(context).map((id) => migrationProgress(context, id, hasTopology, replaced)),
    scale,
    tiers: {
      deviceApi: tier(deviceApiDeployment(scaled), scale.deviceApi),
      adminApi: tier(adminApiDeployment(scaled), scale.adminApi),
      workers: tier(workerDeployment(scaled), scale.workers),
      keeper: deploymentProgress(context, keeperDeployment(context), hasTopology, 1),
    },
  };
};

export const dataSettled = ({shards, needed, broker, cache}: Progress): boolean =>
  [...shards.slice(0, needed), broker, cache].every(({settled}) => settled);

export const migrated = ({migrations, needed}: Progress): boolean =>
  migrations.slice(0, needed).every(({state}) => state === 'complete');
