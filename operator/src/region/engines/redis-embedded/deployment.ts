import {SECRET_KEYS} from '@pisync/contract/files';
import {PORTS} from '@pisync/contract/ports';
import {quantityBytes} from '../../../api/v1alpha1/quantity.ts';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {hashOf} from '../../hash.ts';
import {KINDS} from '../../kinds.ts';
import {metadataOf, selectorOf} from '../../labels.ts';
import {configMapVolume, emptyDir, podTemplate, templateSpec} from '../../manifests/pod.ts';
import {service} from '../../manifests/service.ts';
import {withRevision} from '../../template.ts';
import {DOUBLE_QUOTED} from '../shell-quoting.ts';

const PATHS = {config: '/etc/pisync/redis', secret: '/etc/pisync/secrets', run: '/run/pisync'} as const;

/** The user that runs the server in the official image. */
const REDIS_UID = 999;

const MIB = 1024 ** 2;
/** For two days: a credential takes up to 390, and how far the device was 190. What else is kept of a device is so for a minute. */
const BYTES_PER_DEVICE = 600;
const LEAST = 128 * MIB;

/** Bytes for data: the spec's own number, or what the devices need, as far as the pod has room. It doubles, because each other number restarts the cache. */
const dataBytes = ({spec: {redis, capacity}}: RegionContext): number => {
  if (redis.maxMemory !== undefined) return quantityBytes(redis.maxMemory);
  const room = (quantityBytes(redis.resources.limits.memory) * 3) / 4;
  const doublings = Math.max(0, Math.ceil(Math.log2((capacity.devices * BYTES_PER_DEVICE) / LEAST)));
  const bytes = Math.min(room, LEAST * 2 ** doublings);
  return Math.floor(bytes / MIB) * MIB;
};

const serverConf = (context: RegionContext): string => `# Written by the operator.
include ${PATHS.run}/password.conf
bind * -::*
port ${PORTS.redis}
# A cache: nothing is written to disk, everything can be read from the shards again.
save ""
appendonly no
dir /tmp
maxmemory ${dataBytes(context)}
maxmemory-policy allkeys-lru
tcp-keepalive 60
`;

const START = `#!/bin/sh
set -eu
umask 077
printf 'requirepass "%s"\\n' "$(${DOUBLE_QUOTED} ${PATHS.secret}/password)" > ${PATHS.run}/password.conf
exec redis-server ${PATHS.config}/redis.conf
`;

export const redisConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.redis, 'redis'),
    data: {'redis.conf': serverConf(context), 'start.sh': START},
  },
});

const tcp = {tcpSocket: {port: 'redis'}, timeoutSeconds: 3};

export const redisDeployment = (context: RegionContext): Desired => {
  const {spec, names, images, children, name} = context;
  const {resources} = spec.redis;
  const desired: Desired = {
    manifest: {
      ...KINDS.deployment,
      metadata: metadataOf(context, names.redis, 'redis'),
      spec: {
        replicas: 1,
        // Two caches behind one name would each know half of what was invalidated.
        strategy: {type: 'Recreate'},
        selector: {matchLabels: selectorOf(name, 'redis')},
        template: podTemplate(context, {
          component: 'redis',
          image: images.redis,
          command: ['/bin/sh', `${PATHS.config}/start.sh`],
          ports: [{name: 'redis', containerPort: PORTS.redis}],
          resources,
          configHash: hashOf([
            redisConfigMap(context).manifest['data'],
            children.secretValues(names.redis, Object.values(SECRET_KEYS.redis)),
          ]),
          probes: {
            startupProbe: {...tcp, periodSeconds: 1, failureThreshold: 60},
            livenessProbe: {...tcp, periodSeconds: 10, failureThreshold: 3},
            readinessProbe: {...tcp, periodSeconds: 5, failureThreshold: 2},
          },
          gracePeriodSeconds: 15,
          userId: REDIS_UID,
          volumes: [
            configMapVolume('config', PATHS.config, names.redis),
            {
              name: 'secret',
              mountPath: PATHS.secret,
              readOnly: true,
              source: {secret: {secretName: names.redis, defaultMode: 0o440}},
            },
            emptyDir('run', PATHS.run),
            emptyDir('tmp', '/tmp'),
          ],
        }),
      },
    },
  };
  const origin = templateSpec(context, {
    podTemplate: spec.redis.podTemplate,
    image: spec.images.redis,
    resources,
    maxMemory: dataBytes(context),
  });
  return withRevision(desired, {spec: origin, steady: {live: children.workload(KINDS.deployment, names.redis)}});
};

export const redisService = (context: RegionContext): Desired =>
  service(context, context.names.redis, 'redis', [{name: 'redis', port: PORTS.redis, targetPort: 'redis'}]);
