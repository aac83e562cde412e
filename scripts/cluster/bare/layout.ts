/** Names, addresses and folders of the bare cluster. All networks live in namespaces of their own, so they cannot collide with the host's. */
import {join} from 'node:path';

/** The machine-wide home of the one bare cluster: every checkout looks here first. */
export const STATE_FOLDER = '/var/lib/pisync-cluster';
export const LOCK_FILE = '/run/pisync-cluster.lock';
/** Name of the parent cgroup; prefix of the network namespaces. */
export const PARENT = 'pisync';

export const folders = {
  state: STATE_FOLDER,
  pki: join(STATE_FOLDER, 'pki'),
  conf: join(STATE_FOLDER, 'conf'),
  data: join(STATE_FOLDER, 'data'),
  logs: join(STATE_FOLDER, 'log'),
  machines: join(STATE_FOLDER, 'machines'),
  sockets: join(STATE_FOLDER, 'sockets'),
} as const;

export const files = {
  state: join(STATE_FOLDER, 'state.json'),
  kubeconfig: join(folders.conf, 'admin.conf'),
  enter: join(STATE_FOLDER, 'enter'),
  auditLog: join(folders.logs, 'audit.log'),
  containerdConfig: join(folders.conf, 'containerd.toml'),
  ingressSocket: join(folders.sockets, 'ingress-http'),
  ingressTlsSocket: join(folders.sockets, 'ingress-https'),
} as const;

export const CONTROL_PLANE = 'cp';

export const network = {
  /** The control plane's address on the fabric between the machines. */
  controlPlane: '10.213.0.1',
  bridge: 'fabric',
  pods: '10.214.0.0/16',
  services: '10.215.0.0/16',
  apiService: '10.215.0.1',
  dnsService: '10.215.0.10',
  domain: 'cluster.local',
} as const;

/** Envoy serves a Gateway listener on port p at 8000 + p (80 -> 8080) or, for 443, 8443. */
export const INGRESS_PORTS = {http: 8080, https: 8443} as const;

export interface Node {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly podSubnet: string;
}

/** Nodes `n1` to `n<count>`. */
export const nodesOf = (count: number): readonly Node[] =>
  Array.from({length: count}, (_, i) => ({
    name: `n${i + 1}`,
    index: i + 1,
    address: `10.213.0.${11 + i}`,
    podSubnet: `10.214.${i + 1}.0/24`,
  }));

export const namespaceOf = (machine: string): string => `${PARENT}-${machine}`;
export const namespacePath = (machine: string): string => `/run/netns/${namespaceOf(machine)}`;
export const machineFolder = (machine: string): string => join(folders.machines, machine);
export const dataFolder = (machine: string): string => join(folders.data, machine);
export const insideNetwork = (machine: string): readonly [string, string] => [
  'nsenter',
  `--net=${namespacePath(machine)}`,
];
