import {SECRET_KEYS} from '@pisync/contract/files';
import {PORTS} from '@pisync/contract/ports';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {hashOf} from '../../hash.ts';
import {KINDS} from '../../kinds.ts';
import {MAX_CONNECTIONS, metadataOf, selectorOf} from '../../labels.ts';
import {DATA_VOLUME} from '../../names.ts';
import {configMapVolume, emptyDir, podTemplate, templateSpec} from '../../manifests/pod.ts';
import {headlessService, service} from '../../manifests/service.ts';
import {withRevision} from '../../template.ts';
import {claims} from '../volume-claims.ts';
import {maxWalMegabytes, PATHS} from './config.ts';
import {maxConnections} from './max-connections.ts';

/** The user that runs the server in the official image for Debian. */
const POSTGRES_UID = 999;
/** That image, from whichever registry. Others have other users: that for Alpine, 70. */
const OFFICIAL_IMAGE = /^(.+\/library\/)?postgres:[\d.]+(@|$)/;

const script = (name: string): readonly string[] => ['/bin/sh', `${PATHS.config}/${name}`];

/** One shard: a server with a volume of its own. It comes back after any crash, but nothing stands in for it meanwhile. `settings`: the ConfigMap that it starts with. */
export const shardStatefulSet = (context: RegionContext, id: number, settings: Desired): Desired => {
  const {spec, names, images, children, name} = context;
  const live = children.workload(KINDS.statefulSet, names.shard(id));
  const {postgres} = spec;
  const {resources, parameters} = postgres;
  const connections = maxConnections(context);
  const desired: Desired = {
    manifest: {
      ...KINDS.statefulSet,
      metadata: metadataOf(context, names.shard(id), 'postgres', {shardId: id}),
      spec: {
        serviceName: names.shard(id),
        replicas: 1,
        // A pod that never becomes ready is replaced when the template changes; OrderedReady would wait for it for ever.
        podManagementPolicy: 'Parallel',
        selector: {matchLabels: selectorOf(name, 'postgres', id)},
        ...claims(context, postgres.storage, selectorOf(name, 'postgres', id), live),
        template: podTemplate(context, {
          component: 'postgres',
          shardId: id,
          image: images.postgres,
          command: script('start.sh'),
          ports: [{name: 'postgres', containerPort: PORTS.postgres}],
          resources,
          configHash: hashOf([
            settings.manifest['data'],
            children.secretValues(names.shard(id), Object.values(SECRET_KEYS.shard)),
          ]),
          annotations: {[MAX_CONNECTIONS]: String(connections)},
          probes: {
            // Recovery after a crash may take long; it is not a reason to kill the server: 1 h.
            startupProbe: {
              exec: {command: script('ready.sh')},
              periodSeconds: 2,
              timeoutSeconds: 5,
              failureThreshold: 1800,
            },
            livenessProbe: {tcpSocket: {port: 'postgres'}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6},
            readinessProbe: {
              exec: {command: script('ready.sh')},
              periodSeconds: 5,
              timeoutSeconds: 5,
              failureThreshold: 2,
            },
          },
          preStop: {exec: {command: script('stop.sh')}},
          gracePeriodSeconds: 120,
          userId: POSTGRES_UID,
          hasUserName: OFFICIAL_IMAGE.test(images.postgres),
          volumes: [
            {name: DATA_VOLUME, mountPath: PATHS.volume},
            configMapVolume('config', PATHS.config, names.postgres),
            {
              name: 'secret',
              mountPath: PATHS.secret,
              readOnly: true,
              source: {secret: {secretName: names.shard(id), defaultMode: 0o440}},
            },
            emptyDir('run', PATHS.socket),
            emptyDir('tmp', '/tmp'),
            // Parallel queries share memory through files here; the runtime's default of 64 MiB is soon full.
            emptyDir('shm', '/dev/shm', {medium: 'Memory', sizeLimit: '256Mi'}),
          ],
        }),
      },
    },
  };
  const origin = templateSpec(context, {
    podTemplate: spec.postgres.podTemplate,
    image: spec.images.postgres,
    resources,
    parameters,
    connections,
    maxWal: maxWalMegabytes(context),
  });
  return withRevision(desired, {spec: origin, steady: {live}});
};

/** The names under which a shard is reached. */
export const shardServices = (context: RegionContext, id: number): readonly Desired[] => {
  const ports = [{name: 'postgres', port: PORTS.postgres, targetPort: 'postgres'}];
  return [
    headlessService(context, context.names.shard(id), 'postgres', ports, id),
    service(context, context.names.shardReadWrite(id), 'postgres', ports, id),
  ];
};
