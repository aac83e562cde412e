/** Specs and what is wrong with them: the API server and the guard must say the same about every one. */

export type GoodSpec = readonly [what: string, spec: Readonly<Record<string, unknown>>];

export interface BadSpec {
  readonly what: string;
  readonly name?: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly path: string;
}

const region = 'eu-west';

export const GOOD_SPECS: readonly GoodSpec[] = [
  ['the smallest', {region}],
  ['the one of the example', {region, ingress: {host: 'a.example.com', adminHost: 'b.example.com'}}],
  [
    'one behind a Gateway',
    {region, ingress: {host: 'a.example.com', gatewayRef: {name: 'gateway', namespace: 'infra'}}},
  ],
  ['one with a certificate', {region, ingress: {host: 'a.example.com', tls: {mode: 'Secret', secretName: 'cert'}}}],
  [
    'labels of all kinds',
    {
      region,
      common: {labels: {team: '', 'example.com/Cost_Centre.1': 'A-1_2.b'}},
      scheduling: {nodeSelector: {'topology.kubernetes.io/zone': 'eu-1a'}},
    },
  ],
  ['images of another registry', {region, images: {registry: 'mirror.example.com:5000/proxy'}}],
  ['enough connections', {region, postgres: {parameters: {max_connections: '600'}}}],
  [
    'connections for few pods',
    {
      region,
      deviceApi: {autoscaling: {enabled: false}},
      workers: {concurrency: 2, autoscaling: {enabled: false}},
      postgres: {parameters: {max_connections: '200'}},
    },
  ],
  ['minReplicas below replicas', {region, workers: {replicas: 4, autoscaling: {minReplicas: 1}}}],
  ['many replicas without autoscaling', {region, workers: {replicas: 40, autoscaling: {enabled: false}}}],
  [
    'quantities of all kinds',
    {region, keeper: {resources: {requests: {cpu: 1, memory: '0.5Gi'}, limits: {cpu: '1500m', memory: 536_870_912}}}},
  ],
  [
    'tolerations of all kinds',
    {
      region,
      scheduling: {
        tolerations: [
          {operator: 'Exists'},
          {key: 'example.com/disk', value: 'ssd', effect: 'NoSchedule'},
          {key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30},
        ],
      },
    },
  ],
  ['annotations of all kinds', {region, ingress: {annotations: {'Example.com/A_b.c': 'any text'}}}],
  [
    'annotations that controllers are configured by',
    {
      region,
      common: {
        annotations: {'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true', 'sidecar.istio.io/inject': 'false'},
      },
      ingress: {
        annotations: {
          'nginx.ingress.kubernetes.io/proxy-body-size': '2m',
          'ingress.kubernetes.io/force-ssl-redirect': 'true',
          'external-dns.alpha.kubernetes.io/ttl': '60',
          'kubernetes.io/tls-acme': 'true',
          'cert-manager.io/cluster-issuer': 'letsencrypt',
        },
      },
    },
  ],
  ...[
    'http://otel.observability:4318/v1%20/x',
    'http://10.0.0.30:4318',
    'https://255.255.255.255',
    'http://1.2.3.4/5',
    'http://otel-2',
    'http://otel.2a:4318',
  ].map((endpoint): GoodSpec => [`a collector for traces at ${endpoint}`, {region, monitoring: {tracing: {endpoint}}}]),
  [
    'settings of PostgreSQL of all kinds',
    {
      region,
      postgres: {
        parameters: {
          jit: 'off',
          io_method: 'worker',
          huge_pages: 'try',
          wal_compression: 'true',
          random_page_cost: '1.1',
          maintenance_work_mem: '64 MB',
          log_autovacuum_min_duration: '-1',
          old_snapshot_threshold: '1h',
        },
      },
    },
  ],
  [
    'settings of PostgreSQL',
    {region, postgres: {parameters: {work_mem: '16MB', 'auto_explain.log_min_duration': '1s'}}},
  ],
];

export const BAD_SPECS: readonly BadSpec[] = [
  {what: 'no region', spec: {}, path: 'spec.region'},
  {what: 'a region that is no label', spec: {region: 'EU West!'}, path: 'spec.region'},
  {what: 'a region that ends in a dash', spec: {region: 'eu-west-'}, path: 'spec.region'},
  {what: 'no shards', spec: {region, postgres: {shards: 0}}, path: 'spec.postgres.shards'},
  {what: 'too many shards', spec: {region, postgres: {shards: 65}}, path: 'spec.postgres.shards'},
  {
    what: 'min above max',
    spec: {region, workers: {autoscaling: {minReplicas: 5, maxReplicas: 2}}},
    path: 'spec.workers.autoscaling.minReplicas',
  },
  {what: 'replicas above max', spec: {region, deviceApi: {replicas: 11}}, path: 'spec.deviceApi.replicas'},
  {what: 'a wrong type', spec: {region, workers: {replicas: 'two'}}, path: 'spec.workers.replicas'},
  {
    what: 'className and gatewayRef',
    spec: {region, ingress: {className: 'contour', gatewayRef: {name: 'gateway'}}},
    path: 'spec.ingress.gatewayRef',
  },
  {
    what: 'a registry that is a URL',
    spec: {region, images: {registry: 'https://mirror.example.com/'}},
    path: 'spec.images.registry',
  },
  {what: 'an admin host alone', spec: {region, ingress: {adminHost: 'b.example.com'}}, path: 'spec.ingress.host'},
  {
    what: 'one host for both',
    spec: {region, ingress: {host: 'a.example.com', adminHost: 'a.example.com'}},
    path: 'spec.ingress.adminHost',
  },
  {
    what: 'a certificate without its Secret',
    spec: {region, ingress: {tls: {mode: 'Secret'}}},
    path: 'spec.ingress.tls.secretName',
  },
  {
    what: 'a certificate beside a Gateway',
    spec: {region, ingress: {gatewayRef: {name: 'gateway'}, tls: {mode: 'Secret', secretName: 'cert'}}},
    path: 'spec.ingress.tls.mode',
  },
  {
    what: 'a size without a unit',
    spec: {region, rabbitmq: {storage: {size: '10'}}},
    path: 'spec.rabbitmq.storage.size',
  },
  {
    what: 'more memory promised than allowed',
    spec: {region, workers: {resources: {limits: {memory: '64Mi'}}}},
    path: 'spec.workers.resources.requests.memory',
  },
  {
    what: 'more CPU promised than allowed',
    spec: {region, postgres: {resources: {requests: {cpu: 2}, limits: {cpu: '1999m'}}}},
    path: 'spec.postgres.resources.requests.cpu',
  },
  {
    what: 'a cache as large as its pod',
    spec: {region, redis: {maxMemory: '256Mi'}},
    path: 'spec.redis.maxMemory',
  },
  ...(['cpu', 'memory'] as const).flatMap((what) =>
    [-1, 0].map((amount) => ({
      what: `${amount} ${what} requested`,
      spec: {region, keeper: {resources: {requests: {[what]: amount}}}},
      path: `spec.keeper.resources.requests.${what}`,
    })),
  ),
  {
    what: 'memory without its unit',
    spec: {region, redis: {resources: {limits: {memory: 512}, requests: {memory: 256}}}},
    path: 'spec.redis.resources.limits.memory',
  },
  {
    what: 'more memory than can be counted',
    spec: {region, rabbitmq: {resources: {limits: {memory: '9999999999999Ti'}}}},
    path: 'spec.rabbitmq.resources.limits.memory',
  },
  {
    what: 'a volume of more bytes than can be counted',
    spec: {region, rabbitmq: {storage: {size: '9999999Ti'}}},
    path: 'spec.rabbitmq.storage.size',
  },
  {
    what: 'a CPU limit of nothing',
    spec: {region, postgres: {resources: {limits: {cpu: '0'}}}},
    path: 'spec.postgres.resources.limits.cpu',
  },
  {what: 'an address as host', spec: {region, ingress: {host: '192.0.2.7'}}, path: 'spec.ingress.host'},
  {
    what: 'an address as the host of people',
    spec: {region, ingress: {host: 'a.example.com', adminHost: '192.0.2.7'}},
    path: 'spec.ingress.adminHost',
  },
  {
    what: 'a Gateway in a namespace that none can be called',
    spec: {region, ingress: {gatewayRef: {name: 'gateway', namespace: 'infra.example'}}},
    path: 'spec.ingress.gatewayRef.namespace',
  },
  {what: 'a version of 64 characters', spec: {region, version: 'a'.repeat(64)}, path: 'spec.version'},
  {what: 'a version that is no label', spec: {region, version: '1.2.'}, path: 'spec.version'},
  {
    what: 'a collector that is no URL',
    spec: {region, monitoring: {tracing: {endpoint: 'http://otel:4318/$(POD_NAME)'}}},
    path: 'spec.monitoring.tracing.endpoint',
  },
  ...[
    'http://10.0.0.300:4318',
    'http://10.0.0',
    'http://1.2.3.4.5/x',
    'http://otel.7:4318',
    'https://4294967296',
    'http://010.0.0.1',
    'http://otel.0x7f',
    'http://otel/%zz',
  ].map((endpoint) => ({
    what: `a collector at ${endpoint}`,
    spec: {region, monitoring: {tracing: {endpoint}}},
    path: 'spec.monitoring.tracing.endpoint',
  })),
  {
    what: 'a collector behind a port that does not exist',
    spec: {region, monitoring: {tracing: {endpoint: 'http://otel:99999'}}},
    path: 'spec.monitoring.tracing.endpoint',
  },
  {
    what: 'a label that takes Services out of the network',
    spec: {region, common: {labels: {'service.kubernetes.io/service-proxy-name': 'x'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'a label by which a GitOps tool would prune',
    spec: {region, common: {labels: {'argocd.argoproj.io/instance': 'eu'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'a label with a key of 64 characters',
    spec: {region, common: {labels: {['a'.repeat(64)]: 'x'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'a label with a prefix of 254 characters',
    spec: {region, common: {labels: {[`${'a'.repeat(254)}/b`]: 'x'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'a label with a prefix that is no domain',
    spec: {region, common: {labels: {'a..b/c': 'x'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'an annotation that belongs to a controller',
    spec: {region, common: {annotations: {'deployment.kubernetes.io/revision': '7'}}},
    path: 'spec.common.annotations',
  },
  ...['pisync.io/adopt', 'kubernetes.io/ingress.class', 'helm.sh/resource-policy', 'kubectl.kubernetes.io/x'].map(
    (key) => ({
      what: `the annotation ${key} on a route`,
      spec: {region, ingress: {annotations: {[key]: 'x'}}},
      path: 'spec.ingress.annotations',
    }),
  ),
  {
    what: 'annotations that are too large together',
    spec: {
      region,
      ingress: {
        annotations: Object.fromEntries(Array.from({length: 16}, (_, index) => [`a${index}`, 'ü'.repeat(2100)])),
      },
    },
    path: 'spec.ingress.annotations',
  },
  {
    what: 'more concurrency than a worker takes',
    spec: {region, workers: {concurrency: 33}},
    path: 'spec.workers.concurrency',
  },
  {what: 'two brokers', spec: {region, rabbitmq: {replicas: 2}}, path: 'spec.rabbitmq.replicas'},
  {what: 'a label of ours', spec: {region, common: {labels: {'pisync.io/shard': '1'}}}, path: 'spec.common.labels'},
  {
    what: 'a label with a blank',
    spec: {region, common: {labels: {team: 'deep blue'}}},
    path: 'spec.common.labels',
  },
  {
    what: 'a node label with a bad key',
    spec: {region, scheduling: {nodeSelector: {'disk/type/x': 'ssd'}}},
    path: 'spec.scheduling.nodeSelector',
  },
  {
    what: 'an annotation of ours',
    spec: {region, common: {annotations: {'pisync.io/applied': 'x'}}},
    path: 'spec.common.annotations',
  },
  {
    what: 'an annotation with a blank',
    spec: {region, ingress: {annotations: {'example.com/a b': ''}}},
    path: 'spec.ingress.annotations',
  },
  {
    what: 'a toleration of everything with a value',
    spec: {region, scheduling: {tolerations: [{operator: 'Exists', value: 'a'}]}},
    path: 'spec.scheduling.tolerations',
  },
  {
    what: 'a toleration without a key',
    spec: {region, scheduling: {tolerations: [{value: 'a'}]}},
    path: 'spec.scheduling.tolerations',
  },
  {
    what: 'a toleration for a while of what evicts nobody',
    spec: {region, scheduling: {tolerations: [{key: 'a', effect: 'NoSchedule', tolerationSeconds: 3}]}},
    path: 'spec.scheduling.tolerations',
  },
  {
    what: 'a toleration with a bad key',
    spec: {region, scheduling: {tolerations: [{key: 'a b'}]}},
    path: 'spec.scheduling.tolerations',
  },
  {
    what: 'a priority class that no object can be called',
    spec: {region, scheduling: {priorityClassName: 'Very High'}},
    path: 'spec.scheduling.priorityClassName',
  },
  {
    what: 'a storage class that no object can be called',
    spec: {region, postgres: {storage: {className: 'fast/ssd'}}},
    path: 'spec.postgres.storage.className',
  },
  {what: 'a name of 60 characters', name: 'a'.repeat(60), spec: {region}, path: 'metadata.name'},
  {what: 'a name that begins with a digit', name: '9lives', spec: {region}, path: 'metadata.name'},
];
