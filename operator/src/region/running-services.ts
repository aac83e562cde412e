import {ENV} from '@pisync/contract/env';
import {z} from 'zod';
import {MORE_PODS} from '../api/v1alpha1/connections.ts';
import {type Workload} from './children.ts';
import {type RegionContext} from './context.ts';
import {KINDS} from './kinds.ts';
import {COMPONENT, FORMER_CONCURRENCY, type PodComponent} from './labels.ts';
import {neededShards} from './shards.ts';

/** What runs of the services: a Deployment's spec is new at once, and the pods of the one before end later. */

const workerTemplate = z.object({
  spec: z.object({
    containers: z.array(
      z.object({env: z.array(z.object({name: z.string(), value: z.string().optional()})).default([])}),
    ),
  }),
});

const ofTemplate = (template: unknown): number => {
  const found = workerTemplate.safeParse(template);
  const variables = found.success ? found.data.spec.containers.flatMap(({env}) => env) : [];
  return Number(variables.find(({name}) => name === ENV.workerConcurrency)?.value ?? 0);
};

/** No Deployment counts these any more, and they have connections until they have ended. */
const endingPods = ({children}: RegionContext, component: PodComponent): number =>
  children.labelled(KINDS.pod, COMPONENT, component).filter(({metadata}) => metadata.deletionTimestamp !== undefined)
    .length;

const isReady = (shard: Workload | undefined): boolean =>
  shard !== undefined && shard.status.readyReplicas >= shard.spec.replicas;

/**
 * Whether a shard is down that services need. Then pods that only linger count for nothing: they may do so because it is down, and it may be down because of the
 * room that would be kept for them.
 */
export const isShardDown = (context: RegionContext): boolean =>
  !Array.from({length: neededShards(context)}, (_, id) =>
    context.children.workload(KINDS.statefulSet, context.names.shard(id)),
  ).every(isReady);

/** As many pods of a tier as may run, or still do, besides those for which there is always room ({@link MORE_PODS}). */
export const runningPods = (context: RegionContext, name: string, component: PodComponent): number => {
  const live = context.children.workload(KINDS.deployment, name);
  if (live === undefined) return 0;
  const {spec, status} = live;
  return isShardDown(context)
    ? spec.replicas
    : Math.max(spec.replicas, status.replicas + endingPods(context, component) - MORE_PODS);
};

const isRolledOut = ({metadata, status}: Workload): boolean =>
  status.observedGeneration >= metadata.generation && status.updatedReplicas >= status.replicas;

/**
 * The largest concurrency of the workers that run; undefined where there is no Deployment. That of an earlier template is noted on it until the last of its pods
 * has ended.
 */
export const runningConcurrency = (context: RegionContext): number | undefined => {
  const live = context.children.workload(KINDS.deployment, context.names.worker);
  if (live === undefined) return undefined;
  const current = ofTemplate(live.spec.template);
  const former = Number(live.metadata.annotations[FORMER_CONCURRENCY] ?? 0) || 0;
  const haveEnded = isRolledOut(live) && endingPods(context, 'worker') === 0;
  return haveEnded || isShardDown(context) ? current : Math.max(current, former);
};
