import {type Kind} from '../kube/object.ts';

/** The kinds that regions consist of. */
export const KINDS = {
  configMap: {apiVersion: 'v1', kind: 'ConfigMap'},
  secret: {apiVersion: 'v1', kind: 'Secret'},
  service: {apiVersion: 'v1', kind: 'Service'},
  serviceAccount: {apiVersion: 'v1', kind: 'ServiceAccount'},
  pod: {apiVersion: 'v1', kind: 'Pod'},
  volumeClaim: {apiVersion: 'v1', kind: 'PersistentVolumeClaim'},
  deployment: {apiVersion: 'apps/v1', kind: 'Deployment'},
  statefulSet: {apiVersion: 'apps/v1', kind: 'StatefulSet'},
  job: {apiVersion: 'batch/v1', kind: 'Job'},
  autoscaler: {apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler'},
  disruptionBudget: {apiVersion: 'policy/v1', kind: 'PodDisruptionBudget'},
  networkPolicy: {apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy'},
  ingress: {apiVersion: 'networking.k8s.io/v1', kind: 'Ingress'},
  httpRoute: {apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute'},
  role: {apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role'},
  roleBinding: {apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding'},
} as const satisfies Record<string, Kind>;

export type ChildKind = (typeof KINDS)[keyof typeof KINDS];

const named = (...kinds: readonly Kind[]): ReadonlySet<string> => new Set(kinds.map(({kind}) => kind));

/** What a cluster may be without. */
export const OPTIONAL = named(KINDS.httpRoute);

/** What other controllers make from what the operator has made. */
export const FOREIGN = named(KINDS.pod, KINDS.volumeClaim);

/**
 * Never removed for not being wanted: what opens data, what holds it, and what Kubernetes ties it to. A StatefulSet takes its claims with it, so only a shard
 * that was never used loses its own (admission.ts).
 */
export const NEVER_SURPLUS = named(KINDS.secret, KINDS.volumeClaim, KINDS.statefulSet, KINDS.pod);

/**
 * What a region works without: its pods serve, only their number does not follow the load, or a drain takes more of them than one. Any other kind is critical,
 * also a NetworkPolicy, without which others would reach the databases.
 */
export const AUXILIARY = named(KINDS.autoscaler, KINDS.disruptionBudget);

/** What has pods made, which come up some time after it was changed. */
export const WORKLOADS = named(KINDS.deployment, KINDS.statefulSet, KINDS.job);
