/** Every long-running process of the bare cluster with its arguments. A reader who wonders how the cluster is set up starts here. */
import {join} from 'node:path';
import {GROWING_CLASS, GROWING_PROVISIONER} from '../addons/objects.ts';
import {LISTEN_OPTIONS, TCP_OPTIONS} from './forward.ts';
import {CONTROL_PLANE, dataFolder, files, folders, INGRESS_PORTS, network, type Node} from './layout.ts';

export interface Component {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
}

export interface Programs {
  /** Folder with etcd, kube-apiserver, ..., contour, local-path-provisioner. */
  readonly binDir: string;
  readonly envoy: string;
  readonly growingVolumes: string;
  /** Image with a shell, for the pods that make and remove volume folders. */
  readonly helperImage: string;
}

const pki = (name: string): string => join(folders.pki, name);
const conf = (name: string): string => join(folders.conf, name);
const kubeconfigs = (name: string): string[] =>
  ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map((flag) => `--${flag}=${conf(name)}`);

export function controlPlaneComponents({binDir, envoy, helperImage}: Programs): readonly Component[] {
  const bin = (name: string): string => join(binDir, name);
  const data = (name: string): string => join(dataFolder(CONTROL_PLANE), name);
  return [
    {
      name: 'etcd',
      argv: [
        bin('etcd'),
        `--data-dir=${data('etcd')}`,
        '--listen-client-urls=http://127.0.0.1:2379',
        '--advertise-client-urls=http://127.0.0.1:2379',
        '--listen-peer-urls=http://127.0.0.1:2380',
        // A cluster for development may lose its last second when the machine loses power.
        '--unsafe-no-fsync',
        '--quota-backend-bytes=2147483648',
      ],
    },
    {
      name: 'kube-apiserver',
      argv: [
        bin('kube-apiserver'),
        '--etcd-servers=http://127.0.0.1:2379',
        '--bind-address=0.0.0.0',
        '--secure-port=6443',
        `--advertise-address=${network.controlPlane}`,
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
        `--client-ca-file=${pki('ca.crt')}`,
        '--allow-privileged=true',
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        `--service-cluster-ip-range=${network.services}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${pki('sa.pub')}`,
        `--service-account-signing-key-file=${pki('sa.key')}`,
        `--kubelet-client-certificate=${pki('apiserver-kubelet.crt')}`,
        `--kubelet-client-key=${pki('apiserver-kubelet.key')}`,
        '--kubelet-preferred-address-types=InternalIP',
        `--requestheader-client-ca-file=${pki('ca.crt')}`,
        '--requestheader-allowed-names=front-proxy-client',
        '--requestheader-username-headers=X-Remote-User',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        `--proxy-client-cert-file=${pki('front-proxy.crt')}`,
        `--proxy-client-key-file=${pki('front-proxy.key')}`,
        '--enable-aggregator-routing=true',
        '--profiling=false',
        // Pods leave a dead node after 10 s instead of 5 min, so that tests of lost nodes end in reasonable time.
        '--default-not-ready-toleration-seconds=10',
        '--default-unreachable-toleration-seconds=10',
        `--audit-policy-file=${conf('audit-policy.yaml')}`,
        `--audit-log-path=${files.auditLog}`,
        '--audit-log-maxsize=200',
        '--audit-log-maxbackup=1',
      ],
    },
    {
      name: 'kube-controller-manager',
      argv: [
        bin('kube-controller-manager'),
        ...kubeconfigs('controller-manager.conf'),
        '--bind-address=127.0.0.1',
        '--leader-elect=false',
        '--use-service-account-credentials',
        `--service-account-private-key-file=${pki('sa.key')}`,
        `--root-ca-file=${pki('ca.crt')}`,
        `--cluster-signing-cert-file=${pki('ca.crt')}`,
        `--cluster-signing-key-file=${pki('ca.key')}`,
        '--allocate-node-cidrs=false',
        `--cluster-cidr=${network.pods}`,
        `--service-cluster-ip-range=${network.services}`,
        '--pvclaimbinder-sync-period=2s',
        '--node-monitor-period=1s',
        '--node-monitor-grace-period=10s',
        '--horizontal-pod-autoscaler-sync-period=2s',
        '--horizontal-pod-autoscaler-downscale-stabilization=10s',
        '--horizontal-pod-autoscaler-initial-readiness-delay=2s',
        '--horizontal-pod-autoscaler-cpu-initialization-period=10s',
      ],
    },
    {
      name: 'kube-scheduler',
      argv: [
        bin('kube-scheduler'),
        ...kubeconfigs('scheduler.conf'),
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
      ],
    },
    // So that commands in the control plane's network reach services by their cluster addresses.
    {name: 'kube-proxy', argv: [bin('kube-proxy'), `--config=${conf(`kube-proxy-${CONTROL_PLANE}.yaml`)}`]},
    {name: 'coredns', argv: [bin('coredns'), '-conf', conf('Corefile')]},
    {
      name: 'metrics-server',
      argv: [
        bin('metrics-server'),
        ...kubeconfigs('admin.conf'),
        '--secure-port=4443',
        `--bind-address=${network.controlPlane}`,
        '--kubelet-insecure-tls',
        '--kubelet-use-node-status-port',
        '--kubelet-preferred-address-types=InternalIP',
        // The resolution must be longer than the timeout.
        '--metric-resolution=10s',
        '--kubelet-request-timeout=5s',
        `--cert-dir=${data('metrics-server')}`,
      ],
    },
    {
      name: 'local-path-provisioner',
      argv: [
        bin('local-path-provisioner'),
        'start',
        '--config',
        conf('local-path.json'),
        '--kubeconfig',
        conf('admin.conf'),
        '--namespace',
        'local-path-storage',
        '--helper-image',
        helperImage,
        '--helper-pod-file',
        conf('local-path-helper-pod.yaml'),
      ],
    },
    {
      name: 'contour',
      argv: [
        bin('contour'),
        'serve',
        `--kubeconfig=${conf('admin.conf')}`,
        `--config-path=${conf('contour.yaml')}`,
        '--xds-address=127.0.0.1',
        '--xds-port=8001',
        '--insecure',
        '--disable-leader-election',
        '--http-address=127.0.0.1',
        '--http-port=8010',
        '--health-address=127.0.0.1',
        '--health-port=8011',
        `--ingress-status-address=${network.controlPlane}`,
      ],
    },
    {
      name: 'envoy',
      argv: [
        envoy,
        '-c',
        conf('envoy.json'),
        '--service-cluster',
        'projectcontour',
        '--service-node',
        'pisync',
        '--concurrency',
        '2',
        '--log-level',
        'warn',
        // It would leave its shared memory in the host's /dev/shm.
        '--disable-hot-restart',
      ],
    },
    // A socket in the file system is the one thing that both network namespaces see: the host's half is in forward.ts.
    {name: 'forward-http', argv: forward(files.ingressSocket, INGRESS_PORTS.http)},
    {name: 'forward-https', argv: forward(files.ingressTlsSocket, INGRESS_PORTS.https)},
  ];
}

const forward = (socket: string, port: number): Component['argv'] => [
  'socat',
  `UNIX-LISTEN:${socket},unlink-early,${LISTEN_OPTIONS}`,
  `TCP:127.0.0.1:${port},${TCP_OPTIONS}`,
];

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

export function nodeComponents(
  node: Node,
  {binDir, growingVolumes}: Pick<Programs, 'binDir' | 'growingVolumes'>,
): readonly Component[] {
  return [
    {name: 'containerd', argv: ['containerd', '--config', files.containerdConfig]},
    {
      name: 'kubelet',
      argv: [
        'sh',
        '-c',
        `until [ -S ${CONTAINERD_SOCKET} ]; do sleep 0.05; done; exec "$@"`,
        'sh',
        join(binDir, 'kubelet'),
        `--config=${conf('kubelet.yaml')}`,
        `--kubeconfig=${conf(`${node.name}.conf`)}`,
        `--hostname-override=${node.name}`,
        `--node-ip=${node.address}`,
        '--cert-dir=/var/lib/kubelet/pki',
        `--node-labels=topology.kubernetes.io/zone=zone-${node.index}`,
      ],
    },
    {name: 'kube-proxy', argv: [join(binDir, 'kube-proxy'), `--config=${conf(`kube-proxy-${node.name}.yaml`)}`]},
    {
      name: 'growing-volumes',
      argv: [
        growingVolumes,
        `-node=${node.name}`,
        `-class=${GROWING_CLASS}`,
        `-provisioner=${GROWING_PROVISIONER}`,
        `-folder=${GROWING_VOLUMES_FOLDER}`,
        // Images are sparse, so any size would do; tests need one that is refused.
        '-largest=64Gi',
        `-server=https://${network.controlPlane}:6443`,
        `-certificate-authority=${pki('ca.crt')}`,
        `-client-certificate=${pki('admin.crt')}`,
        `-client-key=${pki('admin.key')}`,
      ],
    },
  ];
}

/** What a node has for itself: binds of its data, a /run that a power cut empties, its network's /sys, its cgroups. */
export function nodeMounts(node: Node, cgroupMounts: readonly string[]): readonly string[] {
  const bind = (name: string, target: string): string => `--bind ${join(dataFolder(node.name), name)} ${target}`;
  return [
    '-t tmpfs -o mode=711,size=64m tmpfs /run/containerd',
    '-t tmpfs -o mode=755,size=16m tmpfs /run/netns',
    ...Object.entries(NODE_FOLDERS).map(([name, target]) => bind(name, target)),
    '-t sysfs sysfs /sys',
    ...cgroupMounts,
  ];
}

/** Where local volumes are, as a node sees it. */
export const VOLUMES_FOLDER = '/var/lib/pisync-volumes';

/** Where the images and mounts of volumes that grow are, as a node sees it. */
const GROWING_VOLUMES_FOLDER = '/var/lib/pisync-growing-volumes';

/** Folders of a node, by name in its data folder. */
export const NODE_FOLDERS = {
  containerd: '/var/lib/containerd',
  kubelet: '/var/lib/kubelet',
  cni: '/var/lib/cni',
  'pod-logs': '/var/log/pods',
  'container-logs': '/var/log/containers',
  'cni-config': '/etc/cni/net.d',
  volumes: VOLUMES_FOLDER,
  'growing-volumes': GROWING_VOLUMES_FOLDER,
} as const;
