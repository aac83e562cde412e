import {ENV} from '@pisync/contract/env';
import {type StatelessTier} from '../../api/v1alpha1/tiers.ts';
import {type Desired} from '../../kube/controller.ts';
import {largestConcurrency} from '../connection-room.ts';
import {type RegionContext} from '../context.ts';
import {withRevision} from '../template.ts';
import {hashOf} from '../hash.ts';
import {KINDS} from '../kinds.ts';
import {FORMER_CONCURRENCY, metadataOf, type PodComponent, selectorOf} from '../labels.ts';
import {floorOf} from './autoscaler.ts';
import {podTemplate, type PodShape, templateSpec} from './pod.ts';
import {httpPort, opsPort, servicePod, serviceProbes} from './service-pod.ts';

/**
 * Longer than the services' own limit for a stop (25 s) and the 10 s before it together, in which they go on serving until proxies have learned that
 * a pod leaves. They do that themselves and need no preStop hook for it: only they can tell their peers to use other connections.
 */
const GRACE_SECONDS = 45;

/** The part of the spec that every service's template is made from, and what is the tier's own. */
const serviceSpec = (context: RegionContext, own: object): object => {
  const {version, images, monitoring, common, postgres} = context.spec;
  const {tracing} = monitoring;
  return templateSpec(context, {version, image: images.service, tracing, common, shards: postgres.shards, ...own});
};

const deployment = (
  context: RegionContext,
  name: string,
  component: PodComponent,
  strategy: object,
  shape: Omit<PodShape, 'component' | 'probes' | 'gracePeriodSeconds'>,
  annotations: Readonly<Record<string, string>> = {},
): Desired => ({
  manifest: {
    ...KINDS.deployment,
    metadata: metadataOf(context, name, component, {annotations}),
    spec: {
      strategy,
      revisionHistoryLimit: 3,
      selector: {matchLabels: selectorOf(context.name, component)},
      template: podTemplate(context, {
        component,
        probes: serviceProbes,
        gracePeriodSeconds: GRACE_SECONDS,
        ...shape,
      }),
    },
  },
});

/** One more before one less: the number that serves never falls below what was asked for. A pod is ready only once it can serve. */
const ROLL = {type: 'RollingUpdate', rollingUpdate: {maxUnavailable: 0, maxSurge: 1}};

/**
 * While an autoscaler sets the number, the operator has no opinion about it; until it does, as few pods run as it would let: also of a Deployment that is made
 * anew, which the server would give one. An autoscaler takes none for switched off and leaves it so (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation).
 */
const replicasOf = ({children}: RegionContext, name: string, tier: StatelessTier): NonNullable<Desired['replicas']> => {
  const floor = floorOf(tier);
  if (!tier.autoscaling.enabled) return floor;
  const live = children.workload(KINDS.deployment, name)?.spec.replicas ?? 0;
  const isScaled = children.find(KINDS.autoscaler, name) !== undefined && live > 0;
  return isScaled || live >= floor ? 'released' : floor;
};

const scaled = (context: RegionContext, desired: Desired, tier: StatelessTier): Desired => {
  const {autoscaling: _, replicas: __, ...own} = tier;
  return withRevision(
    {...desired, replicas: replicasOf(context, desired.manifest.metadata.name, tier)},
    {spec: serviceSpec(context, own)},
  );
};

export const deviceApiDeployment = (context: RegionContext): Desired => {
  const {serviceType: _, serviceAnnotations: __, ...tier} = context.spec.deviceApi;
  return scaled(
    context,
    deployment(context, context.names.deviceApi, 'device-api', ROLL, {
      ...servicePod(context, {
        command: 'device-api',
        secrets: ['rabbitmq', 'redis', 'enrolment-token'],
        resources: tier.resources,
        logLevel: tier.logLevel,
      }),
      ports: [httpPort, opsPort],
    }),
    tier,
  );
};

export const adminApiDeployment = (context: RegionContext): Desired => {
  const {serviceType: _, serviceAnnotations: __, ...tier} = context.spec.adminApi;
  return scaled(
    context,
    deployment(context, context.names.adminApi, 'admin-api', ROLL, {
      ...servicePod(context, {
        command: 'admin-api',
        secrets: ['rabbitmq', 'redis', 'signing', 'audit', 'admin-token'],
        resources: tier.resources,
        logLevel: tier.logLevel,
      }),
      ports: [httpPort, opsPort],
    }),
    tier,
  );
};

export const workerDeployment = (context: RegionContext): Desired => {
  const {concurrency, ...tier} = context.spec.workers;
  const largest = largestConcurrency(context);
  return scaled(
    context,
    deployment(
      context,
      context.names.worker,
      'worker',
      ROLL,
      {
        ...servicePod(context, {
          command: 'worker',
          secrets: ['rabbitmq', 'redis'],
          resources: tier.resources,
          logLevel: tier.logLevel,
          env: {[ENV.workerConcurrency]: String(concurrency)},
        }),
        ports: [opsPort],
      },
      largest > concurrency ? {[FORMER_CONCURRENCY]: String(largest)} : {},
    ),
    context.spec.workers,
  );
};

export const keeperDeployment = (context: RegionContext): Desired => {
  const {keeper} = context.spec;
  const pod = servicePod(context, {
    command: 'keeper',
    secrets: ['rabbitmq', 'redis', 'audit'],
    resources: keeper.resources,
    logLevel: keeper.logLevel,
    env: {[ENV.factsConfigMap]: context.names.facts},
  });
  const identity = context.children.find(KINDS.serviceAccount, context.names.keeper)?.metadata.uid;
  const desired: Desired = {
    ...deployment(
      context,
      context.names.keeper,
      'keeper',
      // Two at once are safe: only the one with a shard's lock acts for it.
      ROLL,
      {
        ...pod,
        // A token dies with its account; one of the same name that is made again needs a new pod.
        configHash: hashOf([pod.configHash, identity]),
        ports: [opsPort],
        serviceAccountName: context.names.keeper,
      },
    ),
    replicas: 1,
  };
  return withRevision(desired, {spec: serviceSpec(context, keeper)});
};
