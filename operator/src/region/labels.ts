import {GROUP} from '../api/v1alpha1/group.ts';
import {type Identity} from '../kube/identity.ts';
import {type RegionContext} from './context.ts';

/** Components that have pods. */
export const POD_COMPONENTS = [
  'postgres',
  'rabbitmq',
  'redis',
  'device-api',
  'admin-api',
  'worker',
  'keeper',
  'migration',
] as const;

export type PodComponent = (typeof POD_COMPONENTS)[number];

/** What a child is part of. Also the name of its tier in messages. */
export type Component = PodComponent | 'configuration' | 'credentials';

type Labels = Readonly<Record<string, string>>;

export const MANAGED_BY = 'app.kubernetes.io/managed-by';
export const MANAGER = 'pisync-operator';
export const INSTANCE = 'app.kubernetes.io/instance';
export const COMPONENT = 'app.kubernetes.io/component';
export const SHARD = 'pisync.io/shard';

/** On a workload: hash of its pod template as the operator last wrote it. */
export const REVISION = 'pisync.io/revision';
/** On a workload: hash of the part of the region's spec that its pod template was made from. */
export const SPEC_REVISION = 'pisync.io/spec-revision';
/** On a Deployment or StatefulSet: the revision whose pods were last seen to have replaced all others. */
export const ROLLED_OUT = 'pisync.io/rolled-out';
/** On a Deployment: how many pods were wished for when that many served last. */
export const SERVED = 'pisync.io/served';
/** On the worker Deployment: the larger concurrency of an earlier template, as long as pods of that run. */
export const FORMER_CONCURRENCY = 'pisync.io/former-concurrency';
/** Hash of the files a pod reads at its start. In the template, so that a change makes new pods. */
export const CONFIG_HASH = 'pisync.io/config-hash';
/** On a shard's template: the connections for which its server has room. */
export const MAX_CONNECTIONS = 'pisync.io/max-connections';
/** On a migration Job: uid of the claim whose volume it migrates. */
export const VOLUME = 'pisync.io/volume';
/** On the bootstrap Secret: uids of the claims whose volumes the shards were migrated on, in their order. */
export const SHARD_VOLUMES = 'pisync.io/shard-volumes';
/** On the bootstrap Secret: uids of the claims that the broker's nodes began with, in their order. */
export const BROKER_VOLUMES = 'pisync.io/broker-volumes';
/** On the bootstrap Secret: the values that later specs are compared with. */
export const ACCEPTED = 'pisync.io/accepted';

/** On an Ingress: the class that the spec names; empty for the cluster's default when it was made. */
export const NAMED_CLASS = 'pisync.io/named-class';
/** On a region that is being deleted: let it go although its data is not safe yet. */
export const FORCE_DELETE = 'pisync.io/force-delete';

/**
 * On data that has no owner. Tools that tell what is theirs by labels alone (Argo CD, with an application named like the region) take it for a leftover;
 * each has a word for what it must not remove.
 */
export const KEPT: Labels = {
  'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
  'argocd.argoproj.io/compare-options': 'IgnoreExtraneous',
  'kustomize.toolkit.fluxcd.io/prune': 'disabled',
  'helm.sh/resource-policy': 'keep',
};

/** How the engine signs what it makes of regions. */
export const IDENTITY: Identity = {
  manager: MANAGER,
  resourceLabel: INSTANCE,
  appliedAnnotation: `${GROUP}/applied`,
  adoptAnnotation: `${GROUP}/adopt`,
  holderAnnotation: `${GROUP}/operator`,
};

/** Whether it bears what every child of the region `name` does. */
export const isMarked = (name: string, labels: Labels = {}): boolean =>
  labels[INSTANCE] === name && labels[MANAGED_BY] === MANAGER;

const shardLabel = (shardId: number | undefined): Labels => (shardId === undefined ? {} : {[SHARD]: String(shardId)});

/** What selects the pods of a component. Never changes: selectors are immutable. */
export const selectorOf = (name: string, component: Component, shardId?: number): Labels => ({
  [INSTANCE]: name,
  [COMPONENT]: component,
  'app.kubernetes.io/part-of': 'pisync',
  ...shardLabel(shardId),
});

export const selectorText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** Labels of pods that are always ours, whatever else they are given. */
export const OWN_LABELS: readonly string[] = [
  INSTANCE,
  COMPONENT,
  SHARD,
  MANAGED_BY,
  'app.kubernetes.io/part-of',
  'app.kubernetes.io/name',
  'pisync.io/region',
];

export const ownLabelsOf = <T>(labels: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(labels).filter(([label]) => OWN_LABELS.includes(label)));

/** Labels of a child and, without the version, of pods (which a new label would restart). */
export const labelsOf = ({name, spec}: RegionContext, component: Component, shardId?: number): Labels => ({
  ...spec.common.labels,
  ...selectorOf(name, component, shardId),
  'app.kubernetes.io/name': `pisync-${component}`,
  [MANAGED_BY]: MANAGER,
  'pisync.io/region': spec.region,
});

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly annotations?: Labels;
}

/** Metadata of a child. */
export const metadataOf = (
  context: RegionContext,
  name: string,
  component: Component,
  options: {readonly shardId?: number; readonly annotations?: Labels} = {},
): Metadata => {
  const annotations = {...context.spec.common.annotations, ...options.annotations};
  return {
    name,
    namespace: context.namespace,
    labels: {
      ...labelsOf(context, component, options.shardId),
      'app.kubernetes.io/version': context.version,
    },
    ...(Object.keys(annotations).length === 0 ? {} : {annotations}),
  };
};
