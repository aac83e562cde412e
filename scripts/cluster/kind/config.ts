import {stringify} from 'yaml';
import type {Settings} from '../settings.ts';

export const KIND_NAME = 'pisync';
/** Where the API server writes its audit log, inside the node and (by a mount) on the host. */
const AUDIT_FOLDER = '/var/log/kubernetes/audit';

/** Folders on the host that the control plane's container mounts. */
export interface KindFolders {
  /** Has `policy.yaml`. */
  readonly auditPolicy: string;
  readonly auditLogs: string;
}

/**
 * kind's configuration: a control plane and the nodes, the ingress' ports on the first node, an audit log, and the same quick
 * reactions as the bare cluster. https://kind.sigs.k8s.io/docs/user/configuration/
 */
export function kindConfig(settings: Settings, folders: KindFolders): string {
  const controllerManager = {
    'horizontal-pod-autoscaler-sync-period': '2s',
    'horizontal-pod-autoscaler-downscale-stabilization': '10s',
    'horizontal-pod-autoscaler-initial-readiness-delay': '2s',
    'horizontal-pod-autoscaler-cpu-initialization-period': '10s',
    'node-monitor-period': '1s',
    'node-monitor-grace-period': '10s',
  };
  const apiServer = {
    'audit-policy-file': '/etc/kubernetes/audit/policy.yaml',
    'audit-log-path': `${AUDIT_FOLDER}/audit.log`,
    'audit-log-maxsize': '200',
    'audit-log-maxbackup': '1',
    'default-not-ready-toleration-seconds': '10',
    'default-unreachable-toleration-seconds': '10',
  };
  const volume = (name: string, path: string, readOnly: boolean, pathType: string): object => ({
    name,
    hostPath: path,
    mountPath: path,
    readOnly,
    pathType,
  });
  // kubeadm's v1beta4 has lists where v1beta3 has maps; kind applies the patch that has the version of its node image.
  const kubeadm = (version: string, extraArgs: (args: Readonly<Record<string, string>>) => object): string =>
    stringify({
      apiVersion: `kubeadm.k8s.io/${version}`,
      kind: 'ClusterConfiguration',
      apiServer: {
        extraArgs: extraArgs(apiServer),
        extraVolumes: [
          volume('audit-policy', '/etc/kubernetes/audit', true, 'DirectoryOrCreate'),
          volume('audit-logs', AUDIT_FOLDER, false, 'DirectoryOrCreate'),
        ],
      },
      controllerManager: {extraArgs: extraArgs(controllerManager)},
    });
  const controlPlane = {
    role: 'control-plane',
    kubeadmConfigPatches: [
      kubeadm('v1beta3', (args) => args),
      kubeadm('v1beta4', (args) => Object.entries(args).map(([name, value]) => ({name, value}))),
    ],
    extraMounts: [
      {hostPath: folders.auditPolicy, containerPath: '/etc/kubernetes/audit', readOnly: true},
      {hostPath: folders.auditLogs, containerPath: AUDIT_FOLDER},
    ],
  };
  const port = (containerPort: number, hostPort: number): object => ({
    containerPort,
    hostPort,
    listenAddress: '127.0.0.1',
    protocol: 'TCP',
  });
  const workers = Array.from({length: settings.nodes}, (_, i) => ({
    role: 'worker',
    // Envoy runs on every worker and takes ports 80 and 443 of it.
    ...(i === 0 ? {extraPortMappings: [port(80, settings.ingressPort), port(443, settings.ingressTlsPort)]} : {}),
  }));
  return stringify({
    kind: 'Cluster',
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    name: KIND_NAME,
    nodes: [controlPlane, ...workers],
  });
}
