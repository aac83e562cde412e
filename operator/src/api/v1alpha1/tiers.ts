import {WORKER_CONCURRENCY} from '@pisync/contract/env';
import {z} from 'zod';
import {annotations, podTemplate} from './pod-template.ts';
import {resources} from './quantity.ts';

/** The stateless tiers: what a region's traffic runs through. */
const replicas = z.int().min(1).max(64);

const logLevel = z
  .enum(['trace', 'debug', 'info', 'warn', 'error'])
  .default('info')
  .describe('How much the pods of this tier log.');

const autoscaling = (defaults: {readonly enabled: boolean; readonly maxReplicas: number}) =>
  z
    .object({
      enabled: z
        .boolean()
        .default(defaults.enabled)
        .describe('Whether a HorizontalPodAutoscaler sets the number of replicas, between the two bounds.'),
      minReplicas: replicas
        .optional()
        .describe(
          'Fewest replicas. Default: `replicas` of the tier, so that raising that number raises the floor. Where this is set, `replicas` and with it `kubectl scale` have no effect while autoscaling is enabled.',
        ),
      maxReplicas: replicas.default(defaults.maxReplicas).describe('Most replicas.'),
      targetCPU: z
        .int()
        .min(1)
        .max(1000)
        .optional()
        .describe(
          'Average CPU use that is aimed at, in percent of the CPU request. A pod may use more than it requests, so this may be above 100. Default: `600m` for each pod, whatever it requests, or 60 % of its CPU limit where that is below one core: a process uses hardly more than one core, and more pods than the nodes have cores are of no use.',
        ),
      targetMemory: z
        .int()
        .min(1)
        .max(1000)
        .optional()
        .describe(
          'Average memory use that is aimed at, in percent of the memory request. Off by default: a process keeps memory that it once used, so this scales up more readily than down.',
        ),
    })
    .prefault({})
    .describe('Scaling by load.');

const stateless = (
  tier: string,
  defaults: {readonly autoscaling: {readonly enabled: boolean; readonly maxReplicas: number}; readonly cpu: string},
) => ({
  replicas: replicas
    .default(2)
    .describe(`Pods of ${tier}. With autoscaling: the fewest, unless \`autoscaling.minReplicas\` is set.`),
  resources: resources(`a pod of ${tier}`, {
    requests: {cpu: defaults.cpu, memory: '128Mi'},
    limits: {memory: '512Mi'},
  }),
  autoscaling: autoscaling(defaults.autoscaling),
  logLevel,
  podTemplate: podTemplate(tier),
});

/** How the Service in front of a tier is reached. */
const exposure = {
  serviceType: z
    .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
    .default('ClusterIP')
    .describe(
      'Type of the Service, which speaks plain HTTP on port 80. ClusterIP: reached by the routes of `ingress`, or from inside the cluster. The others open it to the outside besides.',
    ),
  serviceAnnotations: annotations()
    .optional()
    .describe("Annotations for the Service, by which a cloud's load balancer is configured."),
};

export const deviceApi = z
  .object({...stateless('device-api', {autoscaling: {enabled: true, maxReplicas: 10}, cpu: '100m'}), ...exposure})
  .prefault({})
  .describe('The API that devices talk to.');

export const adminApi = z
  .object({...stateless('admin-api', {autoscaling: {enabled: false, maxReplicas: 6}, cpu: '50m'}), ...exposure})
  .prefault({})
  .describe('The API and dashboard that people talk to.');

export const workers = z
  .object({
    ...stateless('the workers', {autoscaling: {enabled: true, maxReplicas: 16}, cpu: '100m'}),
    concurrency: z
      .int()
      .min(WORKER_CONCURRENCY.min)
      .max(WORKER_CONCURRENCY.max)
      .default(8)
      .describe(
        'Windows of up to 1,000 records that one worker writes to each shard at the same time. Each takes a database connection.',
      ),
  })
  .prefault({})
  .describe('The processes that move batches from the broker into shards. `kubectl scale` sets their `replicas`.');

export const keeper = z
  .object({
    resources: resources('the keeper, and those that bring shards to a new schema', {
      requests: {cpu: '50m', memory: '128Mi'},
      limits: {memory: '512Mi'},
    }),
    logLevel,
    podTemplate: podTemplate('the keeper, and those that bring shards to a new schema'),
  })
  .prefault({})
  .describe(
    'The process that does what must run once in a region: partitions made ahead, statuses of devices, facts for the status.',
  );

export type StatelessTier = Omit<z.output<typeof workers>, 'concurrency'>;
export type Exposure = Pick<z.output<typeof deviceApi>, 'serviceType' | 'serviceAnnotations'>;
