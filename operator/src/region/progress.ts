import {type StatelessTier} from '../api/v1alpha1/tiers.ts';
import {type Desired} from '../kube/controller.ts';
import {type Workload} from './children.ts';
import {type RegionContext} from './context.ts';
import {isSettled, isWritten} from './engines/engine.ts';
import {shardStatefulSet} from './engines/postgres-embedded/stateful-set.ts';
import {rabbitmqStatefulSet} from './engines/rabbitmq-embedded/stateful-set.ts';
import {redisDeployment} from './engines/redis-embedded/deployment.ts';
import {KINDS} from './kinds.ts';
import {floorOf} from './manifests/autoscaler.ts';
import {adminApiDeployment, deviceApiDeployment, keeperDeployment, workerDeployment} from './manifests/deployment.ts';
import {isVolumeReplaced, migrationJob} from './manifests/migration-job.ts';
import {secretNames} from './manifests/secrets.ts';
import {shardIds} from './manifests/topology.ts';

/** How far a workload is: what it should be, what it is, and what follows from comparing them. */
export interface WorkloadProgress {
  readonly desired: Desired;
  readonly live: Workload | undefined;
  /** The server has it as it should be. */
  readonly written: boolean;
  /** At least as many pods serve as are needed. */
  readonly available: boolean;
  /** Written, and every pod has the newest revision. */
  readonly settled: boolean;
}

/** `replaced`: it was complete, but the shard has another volume since, and nobody but a person knows what is on that. */
export type MigrationState = 'absent' | 'running' | 'failed' | 'complete' | 'replaced';

export interface MigrationProgress {
  readonly shardId: number;
  readonly desired: Desired;
  readonly written: boolean;
  readonly state: MigrationState;
  readonly uid: string | undefined;
  /** Since when it has failed. */
  readonly failedAt: Date | undefined;
}

/** Where a region is between nothing and running. Decisions (plan.ts) and descriptions (status.ts) are both made from it. */
export interface Progress {
  /** Credentials and server settings exist, so that what mounts them can start. */
  readonly prepared: boolean;
  readonly shards: readonly WorkloadProgress[];
  readonly broker: WorkloadProgress;
  readonly cache: WorkloadProgress;
  readonly migrations: readonly MigrationProgress[];
  readonly tiers: {
    readonly deviceApi: WorkloadProgress;
    readonly adminApi: WorkloadProgress;
    readonly workers: WorkloadProgress;
    readonly keeper: WorkloadProgress;
  };
}

const statefulProgress = (context: RegionContext, desired: Desired): WorkloadProgress => {
  const live = context.children.workload(KINDS.statefulSet, desired.manifest.metadata.name);
  return {
    desired,
    live,
    written: isWritten(desired, live),
    available: live !== undefined && live.status.readyReplicas >= live.spec.replicas,
    settled: isSettled(desired, live),
  };
};

/**
 * A Deployment's report may be older than its spec: then what it says of new pods says nothing. While the region is ready the operator has changed no
 * template, or it would have said so in the status of the same pass; it is an autoscaler that changed the number, and that is no update.
 */
const deploymentProgress = (context: RegionContext, desired: Desired, floor: number): WorkloadProgress => {
  const live = context.children.workload(KINDS.deployment, desired.manifest.metadata.name);
  const written = isWritten(desired, live);
  const available = live !== undefined && live.status.availableReplicas >= floor;
  return {
    desired,
    live,
    written,
    available,
    settled:
      written &&
      available &&
      live.status.updatedReplicas >= live.status.replicas &&
      (context.wasReady || isObserved(live)),
  };
};

const isObserved = ({metadata, status}: Workload): boolean => status.observedGeneration >= metadata.generation;

const tierProgress = (context: RegionContext, desired: Desired, tier: StatelessTier): WorkloadProgress =>
  deploymentProgress(context, desired, floorOf(tier));

const migrationProgress = (context: RegionContext, shardId: number): MigrationProgress => {
  const desired = migrationJob(context, shardId);
  const live = context.children.job(desired.manifest.metadata.name);
  const has = (type: string) => live?.status.conditions.find((item) => item.type === type && item.status === 'True');
  const failed = has('Failed');
  const state = (): MigrationState => {
    if (live === undefined) return 'absent';
    if (has('Complete') !== undefined) return isVolumeReplaced(context, shardId) ? 'replaced' : 'complete';
    return failed === undefined ? 'running' : 'failed';
  };
  return {
    shardId,
    desired,
    written: live !== undefined && isWritten(desired, live),
    state: state(),
    uid: live?.metadata.uid,
    failedAt: failed?.lastTransitionTime === undefined ? undefined : new Date(failed.lastTransitionTime),
  };
};

export const progressOf = (context: RegionContext): Progress => {
  const {children, names, spec} = context;
  return {
    prepared:
      secretNames(context).every((name) => children.secret(name) !== undefined) &&
      [names.topology, names.postgres, names.rabbitmq, names.redis].every(
        (name) => children.configMap(name) !== undefined,
      ),
    shards: shardIds(context).map((id) => statefulProgress(context, shardStatefulSet(context, id))),
    broker: statefulProgress(context, rabbitmqStatefulSet(context)),
    cache: deploymentProgress(context, redisDeployment(context), 1),
    migrations: shardIds(context).map((id) => migrationProgress(context, id)),
    tiers: {
      deviceApi: tierProgress(context, deviceApiDeployment(context), spec.deviceApi),
      adminApi: tierProgress(context, adminApiDeployment(context), spec.adminApi),
      workers: tierProgress(context, workerDeployment(context), spec.workers),
      keeper: deploymentProgress(context, keeperDeployment(context), 1),
    },
  };
};

export const dataSettled = ({shards, broker, cache}: Progress): boolean =>
  [...shards, broker, cache].every(({settled}) => settled);

export const migrated = ({migrations}: Progress): boolean => migrations.every(({state}) => state === 'complete');
