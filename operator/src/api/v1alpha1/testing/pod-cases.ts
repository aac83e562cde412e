import {TIERS} from '../spec.ts';
import {type BadSpec, type GoodSpec} from './spec-cases.ts';

const region = 'eu-west';

export const FULL_POD_TEMPLATE = {
  labels: {team: 'blue'},
  annotations: {'sidecar.istio.io/inject': 'false', 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false'},
  nodeSelector: {'kubernetes.io/arch': 'arm64'},
  tolerations: [{key: 'example.com/pi', operator: 'Exists'}],
  priorityClassName: 'high',
  env: [
    {name: 'NODE_EXTRA_CA_CERTS', value: '/etc/ssl/own/ca.crt'},
    {name: 'A', valueFrom: {secretKeyRef: {name: 'some', key: 'a.key'}}},
    {name: 'B', valueFrom: {configMapKeyRef: {name: 'some', key: 'b'}}},
  ],
  volumes: [
    {name: 'ca', mountPath: '/etc/ssl/own', configMap: {name: 'ca'}},
    {name: 'keys', mountPath: '/mnt/keys', secret: {secretName: 'keys'}},
    {name: 'scratch', mountPath: '/srv/scratch', emptyDir: {sizeLimit: '1Gi'}},
  ],
  securityContext: {runAsUser: 1_000_680_000, runAsGroup: 0, fsGroup: 1_000_680_000},
};

export const GOOD_PODS: readonly GoodSpec[] = [
  [
    'additions to the pods of every tier',
    {region, ...Object.fromEntries(TIERS.map((tier) => [tier, {podTemplate: FULL_POD_TEMPLATE}]))},
  ],
  ['users that the platform assigns', {region, common: {userIds: 'Platform'}}],
  [
    'a load balancer',
    {
      region,
      deviceApi: {
        serviceType: 'LoadBalancer',
        serviceAnnotations: {
          'service.beta.kubernetes.io/aws-load-balancer-type': 'nlb',
          'metallb.io/address-pool': 'a',
        },
      },
    },
  ],
];

const bad = (what: string, field: string, podTemplate: Readonly<Record<string, unknown>>): BadSpec => ({
  what,
  spec: {region, postgres: {podTemplate}},
  path: `spec.postgres.podTemplate.${field}`,
});

export const BAD_PODS: readonly BadSpec[] = [
  bad('a pod label of ours', 'labels', {labels: {'app.kubernetes.io/component': 'redis'}}),
  bad('a pod annotation of ours', 'annotations', {annotations: {'pisync.io/config-hash': 'x'}}),
  bad('another AppArmor profile', 'annotations', {
    annotations: {'container.apparmor.security.beta.kubernetes.io/postgres': 'unconfined'},
  }),
  bad('a node label that is none', 'nodeSelector', {nodeSelector: {'a b': 'c'}}),
  bad('a pod toleration without a key', 'tolerations', {tolerations: [{value: 'a'}]}),
  bad('root', 'securityContext.runAsUser', {securityContext: {runAsUser: 0}}),
  ...[
    'PISYNC_LOG_LEVEL',
    'PGDATA',
    'LD_PRELOAD',
    'HOME',
    'RABBITMQ_NODENAME',
    'NODE_OPTIONS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'OPENSSL_CONF',
  ].map((name) => bad(`the variable ${name}`, 'env', {env: [{name, value: 'x'}]})),
  bad('a variable with two values', 'env', {
    env: [{name: 'A', value: 'x', valueFrom: {secretKeyRef: {name: 'a', key: 'b'}}}],
  }),
  bad('a variable from nowhere', 'env', {env: [{name: 'A', valueFrom: {}}]}),
  bad('a volume of nothing', 'volumes', {volumes: [{name: 'a', mountPath: '/mnt/a'}]}),
  bad('a volume of two things', 'volumes', {
    volumes: [{name: 'a', mountPath: '/mnt/a', emptyDir: {}, secret: {secretName: 'a'}}],
  }),
  bad('two volumes in one place', 'volumes', {
    volumes: ['a', 'b'].map((name) => ({name, mountPath: '/mnt/a', emptyDir: {}})),
  }),
  ...['/var/lib/postgresql/data', '/etc/pisync/secrets', '/mnt/../etc', '/mnt', '/tmp'].map((mountPath) =>
    bad(`a volume at ${mountPath}`, 'volumes[0].mountPath', {volumes: [{name: 'a', mountPath, emptyDir: {}}]}),
  ),
  {
    what: 'a Service that belongs to a controller',
    spec: {region, adminApi: {serviceAnnotations: {'endpoints.kubernetes.io/last-change-trigger-time': 'x'}}},
    path: 'spec.adminApi.serviceAnnotations',
  },
  {
    what: 'a Service without an address',
    spec: {region, deviceApi: {serviceType: 'ExternalName'}},
    path: 'spec.deviceApi.serviceType',
  },
];
