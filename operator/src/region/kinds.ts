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
