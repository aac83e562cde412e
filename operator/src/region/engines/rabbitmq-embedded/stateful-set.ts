import {SECRET_KEYS} from '@pisync/contract/files';
import {PORTS} from '@pisync/contract/ports';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {hashOf} from '../../hash.ts';
import {KINDS} from '../../kinds.ts';
import {metadataOf, selectorOf} from '../../labels.ts';
import {configMapVolume, emptyDir, podTemplate, templateSpec} from '../../manifests/pod.ts';
import {headlessService, service} from '../../manifests/service.ts';
import {DATA_VOLUME} from '../../names.ts';
import {withRevision} from '../../template.ts';
import {claims} from '../volume-claims.ts';
import {PATHS, rabbitmqFiles} from './config.ts';

/** The user that runs the broker in the official image. */
const RABBITMQ_UID = 999;

/** Port of Erlang's name service, and the one on which nodes and tools speak to each other. */
const EPMD_PORT = 4369;
const DISTRIBUTION_PORT = 25672;

const tcp = {tcpSocket: {port: 'amqp'}, timeoutSeconds: 5};

/** The broker. Its queues are on a volume: a batch that was confirmed survives the pod. */
export const rabbitmqStatefulSet = (context: RegionContext): Desired => {
  const {spec, names, images, children, name} = context;
  const live = children.workload(KINDS.statefulSet, names.rabbitmq);
  const {resources, storage} = spec.rabbitmq;
  const desired: Desired = {
    manifest: {
      ...KINDS.statefulSet,
      metadata: metadataOf(context, names.rabbitmq, 'rabbitmq'),
      spec: {
        serviceName: names.rabbitmqNodes,
        replicas: spec.rabbitmq.replicas,
        podManagementPolicy: 'Parallel',
        selector: {matchLabels: selectorOf(name, 'rabbitmq')},
        ...claims(context, storage, selectorOf(name, 'rabbitmq'), live),
        template: podTemplate(context, {
          component: 'rabbitmq',
          image: images.rabbitmq,
          command: ['/bin/sh', `${PATHS.config}/start.sh`],
          env: [
            {name: 'POD_NAME', valueFrom: {fieldRef: {fieldPath: 'metadata.name'}}},
            {name: 'POD_NAMESPACE', valueFrom: {fieldRef: {fieldPath: 'metadata.namespace'}}},
            {name: 'HOME', value: PATHS.home},
            // The node's name is part of its data: it must be the same in every life of the pod.
            {name: 'RABBITMQ_NODENAME', value: `rabbit@$(POD_NAME).${names.rabbitmqNodes}.$(POD_NAMESPACE).svc`},
            {name: 'RABBITMQ_USE_LONGNAME', value: 'true'},
            {name: 'RABBITMQ_CONFIG_FILE', value: `${PATHS.run}/rabbitmq.conf`},
            {name: 'RABBITMQ_MNESIA_BASE', value: `${PATHS.home}/mnesia`},
            {name: 'RABBITMQ_GENERATED_CONFIG_DIR', value: `${PATHS.run}/generated`},
            {name: 'RABBITMQ_ENABLED_PLUGINS_FILE', value: `${PATHS.run}/enabled_plugins`},
            {name: 'RABBITMQ_PID_FILE', value: `${PATHS.run}/rabbitmq.pid`},
            {name: 'RABBITMQ_LOG_BASE', value: `${PATHS.run}/log`},
            {name: 'RABBITMQ_LOGS', value: '-'},
            // Schedulers that spin while idle cost a tenth of a core and win nothing on shared nodes.
            {name: 'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS', value: '+sbwt none +sbwtdcpu none +sbwtdio none'},
          ],
          ports: [
            {name: 'amqp', containerPort: PORTS.amqp},
            {name: 'epmd', containerPort: EPMD_PORT},
            {name: 'distribution', containerPort: DISTRIBUTION_PORT},
          ],
          resources,
          configHash: hashOf([
            rabbitmqFiles(context),
            children.secretValues(names.rabbitmq, Object.values(SECRET_KEYS.rabbitmq)),
          ]),
          probes: {
            // Asking the node itself would start a second Erlang machine every time: a second of CPU.
            startupProbe: {...tcp, periodSeconds: 2, failureThreshold: 600},
            livenessProbe: {...tcp, periodSeconds: 10, failureThreshold: 6},
            readinessProbe: {...tcp, periodSeconds: 5, failureThreshold: 2},
          },
          gracePeriodSeconds: 120,
          userId: RABBITMQ_UID,
          volumes: [
            {name: DATA_VOLUME, mountPath: PATHS.home},
            configMapVolume('config', PATHS.config, names.rabbitmq),
            {
              name: 'secret',
              mountPath: PATHS.secret,
              readOnly: true,
              source: {secret: {secretName: names.rabbitmq, defaultMode: 0o440}},
            },
            emptyDir('run', PATHS.run),
            emptyDir('tmp', '/tmp'),
          ],
        }),
      },
    },
  };
  const origin = templateSpec(context, {
    podTemplate: spec.rabbitmq.podTemplate,
    image: spec.images.rabbitmq,
    resources,
  });
  return withRevision(desired, {spec: origin, steady: {live}});
};

export const rabbitmqServices = (context: RegionContext): readonly Desired[] => [
  headlessService(context, context.names.rabbitmqNodes, 'rabbitmq', [
    {name: 'epmd', port: EPMD_PORT, targetPort: 'epmd'},
    {name: 'distribution', port: DISTRIBUTION_PORT, targetPort: 'distribution'},
  ]),
  service(context, context.names.rabbitmq, 'rabbitmq', [{name: 'amqp', port: PORTS.amqp, targetPort: 'amqp'}]),
];
