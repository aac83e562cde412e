import {type SpecPatch} from '../kit/region.ts';

/** A change of a live region and its way back. */
export interface Walk {
  readonly name: string;
  /** Merged into `spec`: fields that have nothing to do with each other share a walk, because a walk costs minutes. */
  readonly patch: SpecPatch;
  /** How the region is meanwhile. `stuck`: it cannot be had, and what worked before goes on. */
  readonly becomes: 'ready' | 'stuck' | 'suspended';
  /** Answers other than 2xx that the runbook announces, or that the change itself is about. */
  readonly announced?: RegExp;
  /** Children that must be other ones meanwhile, as `kind/part`. None: nothing may change. */
  readonly reaches: readonly string[];
}

/** What pods of every tier can have, from objects that the test makes. */
export const GIVEN = 'walked';

const POD = {
  labels: {'example.com/walked': 'yes'},
  annotations: {'example.com/walked': 'yes'},
  nodeSelector: {'kubernetes.io/os': 'linux'},
  tolerations: [
    {key: 'example.com/walked', operator: 'Equal', value: 'yes', effect: 'NoExecute', tolerationSeconds: 60},
  ],
  priorityClassName: GIVEN,
  env: [
    {name: 'WALKED', value: 'yes'},
    {name: 'WALKED_SECRET', valueFrom: {secretKeyRef: {name: GIVEN, key: 'word'}}},
    {name: 'WALKED_CONFIG', valueFrom: {configMapKeyRef: {name: GIVEN, key: 'word'}}},
  ],
  volumes: [
    {name: 'walked-config', mountPath: '/mnt/config', configMap: {name: GIVEN}},
    {name: 'walked-secret', mountPath: '/mnt/secret', secret: {secretName: GIVEN}},
    {name: 'walked-scratch', mountPath: '/mnt/scratch', emptyDir: {sizeLimit: '16Mi'}},
  ],
} as const;
const USER = {securityContext: {runAsUser: 12_345, runAsGroup: 12_346, fsGroup: 12_347}} as const;

const resources = (memory: string, limit: string): object => ({
  requests: {cpu: '20m', memory},
  limits: {cpu: '3', memory: limit},
});

const SERVICE = {
  logLevel: 'debug',
  resources: resources('100Mi', '600Mi'),
  podTemplate: {...POD, ...USER},
};
const OPEN = {serviceType: 'NodePort', serviceAnnotations: {'example.com/walked': 'yes'}} as const;
const SCALED = {
  autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 3, targetCPU: 500, targetMemory: 500},
} as const;

/** Shards, broker and cache are made anew, one at a time (runbook: what a fault costs). */
const TIERS_RESTART = /HTTP 503/;

/** While the only region has none, Contour does not even listen. */
const NO_ROUTE = /HTTP 404|ECONNREFUSED|ECONNRESET/;

/** A route that is new stands before its proxy knows the pods behind it. */
const NEW_ROUTE = /HTTP 404|HTTP 503|ECONNREFUSED|ECONNRESET/;

/** One of each kind of field, for those who have no half hour. */
export const SHORT_WALK: Walk = {
  name: 'one field of each kind',
  patch: {
    adminApi: {replicas: 3},
    workers: {logLevel: 'debug'},
    redis: {maxMemory: '100Mi'},
    retention: {recordDays: 30},
    networkPolicy: {enabled: false},
    ingress: {annotations: {'projectcontour.io/num-retries': '1'}},
  },
  becomes: 'ready',
  reaches: [
    'Deployment/admin-api',
    'Deployment/worker',
    'Deployment/redis',
    'ConfigMap/topology',
    'NetworkPolicy/postgres',
    'Ingress/device-api',
  ],
};

export const WALKS: readonly Walk[] = [
  {
    name: 'the services and their pods',
    patch: {
      deviceApi: {replicas: 3, ...SERVICE, ...OPEN},
      adminApi: {replicas: 1, ...SERVICE, ...OPEN},
      workers: {replicas: 3, concurrency: 4, ...SERVICE},
      keeper: SERVICE,
    },
    becomes: 'ready',
    reaches: ['Deployment/device-api'],
  },
  {
    name: 'the autoscalers',
    patch: {deviceApi: SCALED, adminApi: SCALED, workers: SCALED},
    becomes: 'ready',
    reaches: ['HorizontalPodAutoscaler/worker'],
  },
  {
    name: 'what services are told',
    patch: {
      capacity: {devices: 1000, syncWindow: {start: '01:00', durationMinutes: 600}},
      retention: {recordDays: 30, receiptDays: 60, quarantineDays: 10},
      monitoring: {tracing: {endpoint: 'http://collector.walked.svc:4318', sampleRatio: 0.5}},
      networkPolicy: {enabled: false},
      deletionPolicy: 'Delete',
    },
    becomes: 'ready',
    reaches: ['NetworkPolicy/postgres'],
  },
  {
    name: 'the data tiers, and what every pod has',
    patch: {
      postgres: {parameters: {work_mem: '5MB'}, resources: resources('256Mi', '1Gi'), podTemplate: POD},
      rabbitmq: {resources: resources('512Mi', '512Mi'), podTemplate: POD},
      redis: {maxMemory: '100Mi', resources: resources('64Mi', '200Mi'), podTemplate: {...POD, ...USER}},
      scheduling: {
        nodeSelector: {'kubernetes.io/arch': 'amd64'},
        tolerations: [
          {key: 'example.com/all', operator: 'Equal', value: 'yes', effect: 'NoExecute', tolerationSeconds: 90},
        ],
        priorityClassName: GIVEN,
      },
      common: {labels: {'example.com/team': 'walkers'}, annotations: {'example.com/team': 'walkers'}},
      images: {pullPolicy: 'Never', pullSecrets: [{name: GIVEN}]},
    },
    becomes: 'ready',
    announced: TIERS_RESTART,
    reaches: ['StatefulSet/pg-0'],
  },
  {
    name: 'the class, annotations and certificate of the route',
    patch: {
      ingress: {
        className: 'contour',
        annotations: {'projectcontour.io/num-retries': '1'},
        tls: {mode: 'Secret', secretName: 'walked-tls'},
      },
    },
    becomes: 'ready',
    // An Ingress of another class is made anew.
    announced: NEW_ROUTE,
    reaches: ['Ingress/device-api'],
  },
  {
    name: 'a Gateway',
    patch: {ingress: {gatewayRef: {name: 'pisync', namespace: 'projectcontour', sectionName: 'http'}}},
    becomes: 'ready',
    reaches: ['HTTPRoute/device-api'],
  },
  {
    name: 'other hosts',
    patch: {ingress: {host: 'other.sync.example.com', adminHost: 'other.admin.example.com'}},
    becomes: 'ready',
    announced: /HTTP 404/,
    reaches: ['Ingress/device-api'],
  },
  {
    name: 'no route at all',
    patch: {ingress: {enabled: false}},
    becomes: 'ready',
    announced: NO_ROUTE,
    reaches: ['Ingress/device-api'],
  },
  {
    name: 'images that are nowhere',
    patch: {
      images: {
        registry: 'mirror.invalid',
        service: 'mirror.invalid/pisync:1',
        postgres: 'mirror.invalid/postgres:1',
        rabbitmq: 'mirror.invalid/rabbitmq:1',
        redis: 'mirror.invalid/redis:1',
      },
    },
    becomes: 'stuck',
    announced: TIERS_RESTART,
    reaches: ['Deployment/redis'],
  },
  {
    name: 'a version that is nowhere',
    patch: {version: '0.0.1'},
    becomes: 'stuck',
    reaches: ['ConfigMap/topology'],
  },
  {name: 'hands off', patch: {suspend: true}, becomes: 'suspended', reaches: []},
];

const FIXED = 'cannot be changed; admission.e2e.test.ts shows that it is refused';
const OWNER = 'what is on a volume belongs to the user that wrote it';

export const ONE_VALUE = 'has one value';

/** Fields that no walk changes, and why. */
export const NOT_WALKED: Readonly<Record<string, string>> = {
  region: FIXED,
  'postgres.engine': ONE_VALUE,
  'rabbitmq.engine': ONE_VALUE,
  'redis.engine': ONE_VALUE,
  'postgres.shards': 'a shard that is admitted stays: operator/src/region/growth.test.ts',
  'postgres.storage.size': 'a volume that has grown stays so: faults-growth.e2e.test.ts',
  'rabbitmq.storage.size': 'a volume that has grown stays so: faults-growth.e2e.test.ts',
  'postgres.storage.className': FIXED,
  'rabbitmq.storage.className': FIXED,
  'rabbitmq.partitions': FIXED,
  'rabbitmq.replicas': ONE_VALUE,
  'common.userIds': `for new regions: ${OWNER}`,
  ...Object.fromEntries(
    ['postgres', 'rabbitmq'].flatMap((tier) =>
      ['runAsUser', 'runAsGroup', 'fsGroup'].map((field) => [`${tier}.podTemplate.securityContext.${field}`, OWNER]),
    ),
  ),
};
