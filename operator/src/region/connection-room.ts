import {z} from 'zod';
import {type ConnectionLoad, connectionLoad, connectionsNeeded} from '../api/v1alpha1/connections.ts';
import {type RegionSpec} from '../api/v1alpha1/spec.ts';
import {type PartName} from '../api/v1alpha1/status.ts';
import {type StatelessTier} from '../api/v1alpha1/tiers.ts';
import {type Workload} from './children.ts';
import {type RegionContext} from './context.ts';
import {runningConcurrency, writtenConnections} from './engines/postgres-embedded/max-connections.ts';
import {KINDS} from './kinds.ts';
import {FORMER_CONCURRENCY, MAX_CONNECTIONS} from './labels.ts';

/** Shards get room for more connections by a restart. Until the last has had its own, no more pods may run than there is room for. */

const TIERS = ['deviceApi', 'adminApi', 'workers'] as const;
const PART_OF = {deviceApi: 'device-api', adminApi: 'admin-api', workers: 'worker'} as const satisfies Record<
  (typeof TIERS)[number],
  PartName
>;

export type ScaledTiers = Pick<RegionSpec, (typeof TIERS)[number]>;

const shardTemplate = z.object({metadata: z.object({annotations: z.record(z.string(), z.string())})});

/** How far a shard is (progress.ts). */
interface Shard {
  readonly live: Workload | undefined;
  readonly written: boolean;
  readonly rolling: boolean;
}

/** What a shard was started with; 0 while its pod may still be one of an earlier template. One that is not there starts with what is written. */
const startedWith = ({live, written, rolling}: Shard): number => {
  if (live === undefined) return Infinity;
  const {metadata, spec, status} = live;
  const isSeen = status.observedGeneration >= metadata.generation;
  if (rolling && !(isSeen && status.updatedReplicas >= status.replicas)) return 0;
  const noted = shardTemplate.safeParse(spec.template).data?.metadata.annotations[MAX_CONNECTIONS];
  // A template of an operator that noted none.
  if (noted === undefined) return written ? Infinity : 0;
  return Number(noted) || 0;
};

const autoscalerSchema = z.object({spec: z.object({maxReplicas: z.int()})});

/** What may run now, whatever the spec says. */
const loadNow = ({children, names}: RegionContext, wished: ConnectionLoad): ConnectionLoad => {
  const worker = children.workload(KINDS.deployment, names.worker);
  const pods = (name: string): number =>
    Math.max(
      children.workload(KINDS.deployment, name)?.spec.replicas ?? 0,
      autoscalerSchema.safeParse(children.find(KINDS.autoscaler, name)).data?.spec.maxReplicas ?? 0,
    );
  return {
    deviceApi: pods(names.deviceApi),
    adminApi: pods(names.adminApi),
    workers: pods(names.worker),
    concurrency: worker === undefined ? wished.concurrency : runningConcurrency(worker.spec.template),
    shards: wished.shards,
  };
};

/**
 * The largest concurrency of all templates that workers run from; 0 where there are none. Kubernetes gives another number of pods to the templates that there
 * are, so until the last pod of the former one has been replaced, more pods may be of that.
 */
export const largestConcurrency = ({children, names}: RegionContext): number => {
  const live = children.workload(KINDS.deployment, names.worker);
  if (live === undefined) return 0;
  const {metadata, spec, status} = live;
  const current = runningConcurrency(spec.template);
  const isReplaced = status.observedGeneration >= metadata.generation && status.updatedReplicas >= status.replicas;
  return isReplaced ? current : Math.max(current, Number(metadata.annotations[FORMER_CONCURRENCY] ?? 0) || 0);
};

/** The most pods of each tier: those that there are, and in the order of the tiers as many more as there is room for. */
const loadWithin = (now: ConnectionLoad, wished: ConnectionLoad, room: number): ConnectionLoad =>
  TIERS.reduce((load, tier) => {
    let more = load;
    while (more[tier] < wished[tier]) {
      const next = {...more, [tier]: more[tier] + 1};
      if (connectionsNeeded(next) > room) break;
      more = next;
    }
    return more;
  }, now);

/** At least one: a Deployment that was deleted comes back. */
const atMost = <T extends StatelessTier>(tier: T, pods: number): T => {
  const least = (count: number): number => Math.min(count, Math.max(1, pods));
  const {minReplicas, maxReplicas, ...autoscaling} = tier.autoscaling;
  return {
    ...tier,
    replicas: least(tier.replicas),
    autoscaling: {
      ...autoscaling,
      maxReplicas: least(maxReplicas),
      ...(minReplicas === undefined ? {} : {minReplicas: least(minReplicas)}),
    },
  };
};

const roomOf = (context: RegionContext, shards: readonly Shard[]): number =>
  Math.min(writtenConnections(context), ...shards.map(startedWith));

/** Whether workers with a larger concurrency may start beside everything that may run now. `shards`: those that services use. */
export const fitsConcurrency = (context: RegionContext, shards: readonly Shard[]): boolean => {
  const wished = connectionLoad(context.spec);
  const now = loadNow(context, wished);
  const room = roomOf(context, shards);
  const {concurrency} = wished;
  return concurrency <= now.concurrency || connectionsNeeded({...loadWithin(now, wished, room), concurrency}) <= room;
};

/** `shards`: those that services use. */
export const tiersWithin = (context: RegionContext, shards: readonly Shard[]): ScaledTiers => {
  const {deviceApi, adminApi, workers} = context.spec;
  const wished = connectionLoad(context.spec);
  const room = roomOf(context, shards);
  const largest = largestConcurrency(context);
  if (connectionsNeeded({...wished, concurrency: Math.max(wished.concurrency, largest)}) <= room)
    return {deviceApi, adminApi, workers};
  const now = loadNow(context, wished);
  const most = loadWithin({...now, concurrency: Math.max(now.concurrency, largest)}, wished, room);
  return {
    deviceApi: atMost(deviceApi, most.deviceApi),
    adminApi: atMost(adminApi, most.adminApi),
    workers: atMost(workers, most.workers),
  };
};

/** Of a region that works: in a new one, services wait for the shards in any case. */
export const waitingForRoom = (
  context: RegionContext,
  scale: ScaledTiers,
  shards: readonly Shard[],
): readonly {readonly component: PartName; readonly reason: string}[] => {
  const {spec, hasWorked} = context;
  if (!hasWorked) return [];
  const [wished, now] = [connectionLoad(spec), connectionLoad({...spec, ...scale})];
  const until =
    connectionsNeeded(wished) <= roomOf(context, shards)
      ? 'no worker has the former, larger concurrency any more'
      : 'every shard has restarted with room for their connections';
  return TIERS.filter((tier) => now[tier] < wished[tier]).map((tier) => ({
    component: PART_OF[tier],
    reason: `gets more pods (${now[tier]} of ${wished[tier]} until then) when ${until}`,
  }));
};
