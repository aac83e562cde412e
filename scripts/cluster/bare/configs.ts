/** Configuration files of the bare cluster's components, as values: a file's name and its text. */
import {stringify} from 'yaml';
import {AUDIT_POLICY} from '../addons/audit-policy.ts';
import {VOLUMES_FOLDER} from './components.ts';
import {CONTROL_PLANE, files, folders, network, type Node} from './layout.ts';

/** Text by file name in the folder for configuration. */
export type ConfigFiles = Readonly<Record<string, string>>;

const RESOLV_CONF = 'resolv.conf';

/** Everything except kubeconfigs (they hold keys) and envoy.json (Contour writes it). */
export function configFiles(nodes: readonly Node[], helperImage: string): ConfigFiles {
  return {
    'kubelet.yaml': stringify(kubeletConfig()),
    ...Object.fromEntries(
      nodes.map((node) => [`kube-proxy-${node.name}.yaml`, stringify(proxyConfig(node.name, '0.0.0.0'))]),
    ),
    // kube-proxy waits long for a node of its name, and the control plane is none: it shares the first node's.
    [`kube-proxy-${CONTROL_PLANE}.yaml`]: stringify(proxyConfig('n1', network.controlPlane)),
    'containerd.toml': CONTAINERD,
    Corefile: corefile(),
    'audit-policy.yaml': stringify(AUDIT_POLICY),
    'contour.yaml': stringify({
      gateway: {gatewayRef: {namespace: 'projectcontour', name: 'pisync'}},
      'accesslog-level': 'error',
    }),
    'local-path.json': JSON.stringify({
      nodePathMap: [{node: 'DEFAULT_PATH_FOR_NON_LISTED_NODES', paths: [VOLUMES_FOLDER]}],
    }),
    'local-path-helper-pod.yaml': stringify(helperPod(helperImage)),
    // Pods see the cluster's names only: there is nothing else that they could reach.
    [RESOLV_CONF]: '',
  };
}

function kubeletConfig(): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: '/',
    // From 1.37 cAdvisor looks for containerd only here: elsewhere pods have no CPU figures, and autoscalers nothing to go by.
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    failSwapOn: false,
    // Inside containers and small VMs, root lacks CAP_SYS_RESOURCE: neither lower scores nor higher limits.
    oomScoreAdj: 0,
    maxOpenFiles: 20_000,
    resolvConf: `${folders.conf}/${RESOLV_CONF}`,
    clusterDNS: [network.dnsService],
    clusterDomain: network.domain,
    authentication: {
      anonymous: {enabled: false},
      webhook: {enabled: true},
      x509: {clientCAFile: `${folders.pki}/ca.crt`},
    },
    authorization: {mode: 'Webhook'},
    // The nodes share the host's disk and memory: its fullness is no reason to throw away images or pods.
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
    serializeImagePulls: false,
    syncFrequency: '10s',
    nodeStatusUpdateFrequency: '3s',
    nodeLeaseDurationSeconds: 8,
  };
}

function proxyConfig(node: string, bindAddress: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: {kubeconfig: `${folders.conf}/proxy.conf`},
    hostnameOverride: node,
    clusterCIDR: network.pods,
    bindAddress,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    oomScoreAdj: 0,
    conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s'},
  };
}

/** The root zone is there so that names outside the cluster do not exist; without it they would be failures, which clients try again. */
const corefile = (): string => `.:53 {
  bind ${network.controlPlane}
  errors
  health 127.0.0.1:8091
  ready 127.0.0.1:8191
  kubernetes ${network.domain} in-addr.arpa . {
    kubeconfig ${files.kubeconfig}
    pods insecure
  }
  cache 5
  loadbalance
}
`;

function helperPod(image: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name: 'helper-pod'},
    spec: {
      containers: [{name: 'helper-pod', image, imagePullPolicy: 'IfNotPresent'}],
      tolerations: [{operator: 'Exists', effect: 'NoSchedule'}],
    },
  };
}

/** containerd 1.6 configuration. `restrict_oom_score_adj`: runc may not lower scores without CAP_SYS_RESOURCE and fails opaquely. */
const CONTAINERD = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
`;

/** The node's pod network (CNI 0.4.0). Addresses in use are noted on the node's /run, so that a power cut frees them. */
export const cniConfig = (node: Node): string =>
  JSON.stringify(
    {
      cniVersion: '0.4.0',
      name: 'pods',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          isDefaultGateway: true,
          ipMasq: false,
          hairpinMode: true,
          ipam: {type: 'host-local', dataDir: '/run/containerd/cni-addresses', ranges: [[{subnet: node.podSubnet}]]},
        },
        {type: 'portmap', capabilities: {portMappings: true}, snat: true},
      ],
    },
    null,
    2,
  );

/** A kubeconfig for one user of the API server; the three values are PEM. */
export function kubeconfig(pem: {readonly ca: Buffer; readonly certificate: Buffer; readonly key: Buffer}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'pisync',
        cluster: {
          server: `https://${network.controlPlane}:6443`,
          'certificate-authority-data': pem.ca.toString('base64'),
        },
      },
    ],
    users: [
      {
        name: 'user',
        user: {
          'client-certificate-data': pem.certificate.toString('base64'),
          'client-key-data': pem.key.toString('base64'),
        },
      },
    ],
    contexts: [{name: 'pisync', context: {cluster: 'pisync', user: 'user'}}],
    'current-context': 'pisync',
  });
}
